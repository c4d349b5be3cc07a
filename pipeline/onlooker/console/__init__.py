"""The console: pages for a browser. `site` lists its pages."""
