"""The kit, for a gate in which other tests run beside it."""

from __future__ import annotations

import pytest

from infrablocks.testing import InfrastructureConformance, MakeBlock


class MeasuredAlone(InfrastructureConformance):
    """What measures time has nothing beside it."""

    @pytest.mark.alone("measures how long the event loop stalls")
    @pytest.mark.anyio
    async def test_kill_lets_the_event_loop_go_on(self, make_block: MakeBlock) -> None:
        """The check of the kit."""
        await super().test_kill_lets_the_event_loop_go_on(make_block)
