"""The configuration: /etc/cgstatd/config.toml, overridden by the environment, overridden by flags."""

from .loading import BadConfig, load
from .settings import DEFAULT_CONFIG, Settings

__all__ = ["DEFAULT_CONFIG", "BadConfig", "Settings", "load"]
