"""YAML files and ``key=value`` overrides → checked plain values, and what there is to configure."""

from arrayse.config.arrays import read_array
from arrayse.config.read import (
    ConfigError,
    check_same,
    check_values,
    config_root,
    find_config,
    flatten,
    is_override,
    named_configs,
    read_config,
    read_yaml,
    to_yaml,
    write_config,
)

__all__ = [
    "ConfigError",
    "check_same",
    "check_values",
    "config_root",
    "find_config",
    "flatten",
    "is_override",
    "named_configs",
    "read_array",
    "read_config",
    "read_yaml",
    "to_yaml",
    "write_config",
]
