"""The whole kit."""

from infrablocks.testing._attaching import AttachChecks
from infrablocks.testing._cancelling import CancelChecks
from infrablocks.testing._errors import ErrorChecks
from infrablocks.testing._killing import KillChecks
from infrablocks.testing._output import OutputChecks
from infrablocks.testing._previews import PreviewChecks
from infrablocks.testing._results import ResultChecks
from infrablocks.testing._runs import RunChecks


class InfrastructureConformance(
    PreviewChecks, RunChecks, ResultChecks, OutputChecks, KillChecks, CancelChecks, AttachChecks, ErrorChecks
):
    """The contract of a back end, one test for each of its sentences.

    Subclass it in a test module, under a name that pytest collects, with a fixture `make_block`:

    Example:
        ```text
        class TestFarm(InfrastructureConformance):
            lacks = (Capability.ATTACH,)

            @pytest.fixture
            def make_block(self, tmp_path):
                return partial(Farm, folder=tmp_path)
        ```

    A failure begins with the sentence that is broken. The asynchronous checks run on asyncio, and on trio where that is
    installed, by anyio's plugin for pytest; override the fixture `anyio_backend` for other choices.
    """
