"""The errors of infrablocks, all below one root.

```text
InfrastructureError
├── InfrastructureNotAvailable     an engine, a cluster or a host is out of reach, or does not allow the call
├── InfrastructureNotFound         there is no such workload
├── UnsupportedOperation           the block does not have this call
├── WorkloadCreationError          the workload could not be made
│   └── ImagePullError             its image could not be had
├── InvalidSettings                settings that cannot be run, such as an empty command (also a ValueError)
├── InvalidManifest                a manifest or a patch does not fit (also a ValueError)
└── BlockError
    ├── BlockNotFound              no block, or no block type, of that name
    ├── BlockAlreadyExists         a block of that name is saved already (also a ValueError)
    ├── InvalidBlockName           a name that no saved block can have (also a ValueError)
    ├── InvalidBlockDocument       a block that cannot be saved, or no longer fits its type (also a ValueError)
    ├── InvalidBlockFile           a YAML file does not hold a valid block (also a ValueError)
    └── BlockStoreError            the store cannot be reached, read or written, or its key is wrong
```

Settings that are wrong from the start are pydantic's `ValidationError` (a `ValueError`), raised when the block is made.
No message holds a secret, and no exception of an SDK leaves the library: it is the `__cause__` of one of these.
"""


class InfrastructureError(Exception):
    """Root of everything this library raises on purpose; its message says what to do next."""


class InfrastructureNotAvailable(InfrastructureError):
    """The engine, cluster or host is out of reach, or refuses the call."""


class InfrastructureNotFound(InfrastructureError):
    """There is no workload with this identifier (any more)."""


class UnsupportedOperation(InfrastructureError):
    """The block does not have this call."""


class WorkloadCreationError(InfrastructureError):
    """The workload could not be made; nothing of it is left behind."""


class ImagePullError(WorkloadCreationError):
    """The image could not be pulled; the message holds the registry's own words."""


class InvalidSettings(InfrastructureError, ValueError):
    """The block's settings cannot be run: the command is empty, or a copy was given values that validation refuses."""


class InvalidManifest(InfrastructureError, ValueError):
    """A manifest or a patch of one does not fit."""


class BlockError(InfrastructureError):
    """A block could not be found, read or saved."""


class BlockNotFound(BlockError):
    """There is no block, or no block type, of this name."""


class BlockAlreadyExists(BlockError, ValueError):
    """A block of this type and name is saved already; `overwrite=True` replaces it."""


class InvalidBlockName(BlockError, ValueError):
    """No saved block can have this name: names are lower case letters, digits and dashes."""


class InvalidBlockDocument(BlockError, ValueError):
    """A block cannot be saved, or a saved one no longer fits its type; the message names document and fields."""


class InvalidBlockFile(BlockError, ValueError):
    """A file does not hold a valid block; the message names the file, the line and the field."""


class BlockStoreError(BlockError):
    """The store of blocks cannot be reached, read or written to, or the key to its secrets is missing or wrong."""
