"""Checks of errors: one family, which says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infrablocks.exceptions import InfrastructureError, InfrastructureNotFound
from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import ContractBroken, contract, expect
from infrablocks.testing._driving import run_to_the_end
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from infrablocks.testing._kit import MakeBlock

_MISSING_PROGRAM = "kit-no-such-program"


class ErrorChecks(Kit):
    """What goes wrong is told by one family of errors, in time."""

    @contract()
    def test_variables_that_cannot_be_set(self, make_block: MakeBlock) -> None:
        """A variable whose name is empty or has "=" or NUL in it is refused when the block is made."""
        for name in ("", "A=B", "A\0B"):
            try:
                _ = self.block(make_block, "exit 0", env={name: "value"})
            except ValueError:
                continue
            raise ContractBroken(f"The variable {name!r} was accepted.")

    @contract()
    async def test_program_that_does_not_exist(self, make_block: MakeBlock) -> None:
        """A program that does not exist is no success: an `InfrastructureError`, or a result that is not true."""
        block = make_block(command=[_MISSING_PROGRAM])
        try:
            result, _ = await run_to_the_end(self, block)
        except InfrastructureError as error:
            told = str(error)
        else:
            expect(not result, f"The result is a success: {result!r}")
            told = result.message
        expect(_MISSING_PROGRAM in told, f"What is told does not name the program: {told!r}")

    @contract(Capability.LIFE_CYCLE)
    @pytest.mark.parametrize("call", ["kill", "status", "attach"])
    async def test_unknown_identifiers(self, make_block: MakeBlock, call: str) -> None:
        """`kill`, `status` and `attach` of a workload that does not exist raise `InfrastructureNotFound`."""
        if call == "attach":
            self.skip_without([Capability.ATTACH])
        block = self.block(make_block, "exit 0")
        try:
            await getattr(block, call)(self.unknown_identifier)
        except InfrastructureNotFound as error:
            expect(self.unknown_identifier in str(error), f"The message does not name the identifier: {error}")
        else:
            raise ContractBroken(f"`{call}` has returned.")
