// The last minutes of each stream: frames analysed and dropped a second.

const plots = new Map();
const HEIGHT = 90;
const CLOCK = uPlot.fmtDate("{HH}:{mm}:{ss}"); // as all times of the console

function colours() {
  const style = getComputedStyle(document.documentElement);
  return { good: style.getPropertyValue("--good"), bad: style.getPropertyValue("--bad"), calm: style.getPropertyValue("--calm") };
}

function made(place, data) {
  const { good, bad, calm } = colours();
  const axis = { stroke: calm, grid: { show: false }, ticks: { show: false }, font: "11px system-ui" };
  return new uPlot({
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    axes: [{ ...axis, size: 22, space: 80, values: (_, times) => times.map((time) => CLOCK(new Date(1000 * time))) }, { ...axis, size: 30, space: 24 }],
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    series: [{}, { stroke: good, width: 1.5 }, { stroke: bad, width: 1.5 }],
  }, data, place);
}

async function refresh() {
  const places = [...document.querySelectorAll("[data-plot]")];
  if (document.hidden || !places.length) return;
  const answer = await fetch("/streams/history").catch(() => null); // the socket tells the user
  if (!answer?.ok) return;
  const history = await answer.json();
  for (const place of places) {
    const data = history[place.dataset.plot]?.slice(0, 3);
    if (!data || data[0].length < 2) continue;
    const old = plots.get(place);
    if (old && old.width === place.clientWidth) old.setData(data);
    else {
      old?.destroy();
      plots.set(place, made(place, data));
    }
  }
}

refresh();
setInterval(refresh, 3000);
