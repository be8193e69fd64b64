"""The sections of `estate.toml`, a module for those that belong together. `reelkeeper.settings` offers them all."""
