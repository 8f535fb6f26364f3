"""The configuration: /etc/cgstatd/config.toml, overridden by the environment, overridden by flags."""

from ..basics.errors import BadConfig, BadSetting
from .loading import load, place_of
from .settings import DEFAULT_CONFIG, Settings

__all__ = ["DEFAULT_CONFIG", "BadConfig", "BadSetting", "Settings", "load", "place_of"]
