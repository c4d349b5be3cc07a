"""Programs and services that records are sent to: `[sinks.NAME]` of the configuration."""
