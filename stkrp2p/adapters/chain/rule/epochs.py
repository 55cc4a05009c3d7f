"""Which anchored epochs are final: scores and members are proved in those (contract `ReputationAnchor`)."""

from __future__ import annotations

from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.core.types import Epoch

CONTRACT = "ReputationAnchor"


class Epochs:
    """Reads what the anchors' contract says of epochs. Each call raises `ChainUnavailable`."""

    def __init__(self, party: Party) -> None:
        """Read the anchors as a party."""
        self._party = party

    async def is_final(self, epoch: Epoch) -> bool:
        """Tell whether an epoch is anchored, and can no longer be challenged."""
        return await self._party.read(CONTRACT, "isFinal", epoch, shape=bool)

    async def next_epoch(self) -> Epoch:
        """Return the epoch that is anchored next."""
        return Epoch(await self._party.read(CONTRACT, "nextEpoch", shape=int))

    async def latest_final(self) -> Epoch | None:
        """Return the latest final epoch; `None` if there is none yet.

        Asks for one epoch after the other, of which as many are not final as are anchored within the
        time in which they can be challenged.
        """
        epoch = await self.next_epoch() - 1
        while epoch >= 0 and not await self.is_final(Epoch(epoch)):
            epoch -= 1
        return None if epoch < 0 else Epoch(epoch)
