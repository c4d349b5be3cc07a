"""The text recognisers that a configuration names, by their cards or by scripts."""

from onlooker.config import schema
from onlooker.models.card import Card, Characters, WeightsError, card, cards, left_out


def recognisers(settings: schema.Text) -> list[Card]:
    """Return the cards of the recognisers, in the order of the settings.

    Raises WeightsError if the settings name no model or script, or one that cannot read lines.
    """
    found = list(dict.fromkeys(_recogniser(name) for name in settings.readers))
    for each in found:
        if not isinstance(each.decode, Characters):
            raise WeightsError(
                f"[text] readers: {each.name} cannot be used for lines; it {each.task}"
            )
    return found


def scripts(settings: schema.Text) -> list[str]:
    """Return the scripts that the recognisers of the settings read."""
    return list(dict.fromkeys(each for found in recognisers(settings) for each in _scripts(found)))


def model_version(settings: schema.Text) -> str:
    """Return the names of the detector and the recognisers, as TextModelVersion has them."""
    return "+".join([settings.detector, *(each.name for each in recognisers(settings))])


def usual_name(recogniser: Card) -> str:
    """Return the shortest name for `[text] readers`: a script, if it stands for this one."""
    for script in _scripts(recogniser):
        try:
            if _recogniser(script) == recogniser:
                return script
        except WeightsError:  # it stands for several
            continue
    return recogniser.name


def _recogniser(name: str) -> Card:
    """Return the card of a recogniser by its name, or by a script that it reads."""
    known = cards()
    if name in known:
        return known[name]
    readers = [each for each in known.values() if name in _scripts(each)]
    # The default models come first, then the user's own.
    usual = (
        [each for each in readers if not each.optional]
        or [each for each in readers if each.archive.client == "folder"]
        or readers
    )
    if len(usual) > 1:
        names = ", ".join(each.name for each in usual)
        raise WeightsError(f"[text] readers: several models read {name}; name one of {names}")
    if usual:
        return usual[0]
    if name in left_out():
        return card(name)
    every = sorted({script for each in known.values() for script in _scripts(each)})
    if name.islower() and name.isalpha():
        raise WeightsError(
            f"[text] readers: no model reads {name}; those that are here read {', '.join(every)}. "
            "`onlooker models add-language` adds others, `onlooker models list` shows your own"
        )
    return card(name)


def _scripts(each: Card) -> tuple[str, ...]:
    return each.decode.scripts if isinstance(each.decode, Characters) else ()
