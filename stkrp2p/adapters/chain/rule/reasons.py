"""Why a contract refused, in a sentence that names the rule and says what to do.

One sentence for each error that the contracts of rule and market, and the token, can revert with; a
test holds the table against their interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping

from stkrp2p.adapters.chain.wallet import OUT_OF_GAS, Rejected

_INTERNAL = "this is for the contracts among themselves; no account calls it"
_DEPLOYMENT = "the contract was deployed with wrong facts; deploy it anew"
_REPORT = "this must not happen; please report it"

_POLICY = {
    "NotTimelock": "only the timelock may, after a vote: propose it to the council",
    "NoTimelock": _DEPLOYMENT,
    "WrongCount": _DEPLOYMENT,
    "OutOfBounds": "the value is outside the parameter's bounds: stkrp2p policy show",
    "Inconsistent": "a least value would be above its largest: change the other one first",
    "SharesTooLarge": "the pools' shares are too large together: lower one of the two",
    "BadDistribution": "the four shares must add up to 10,000 basis points",
    "BadShortlist": "a shortlist has at least one bid and at most what the policy allows",
    "BadShare": "a share in parts per million is at most 1,000,000",
    "BadEthStake": "a node stakes 32 ETH or nothing",
    "NeedsNothing": "a type of project must need something",
    "VersionNotNew": "a scoring version is larger than the one before: choose a new number",
    "NoParamsHash": "scoring needs the hash of its parameters",
}

_TIMELOCK = {
    "AccessControlBadConfirmation": "a role is renounced by its holder only",
    "AccessControlUnauthorizedAccount": "the account has no such role: propose it to the council",
    "DelayOutOfBounds": "the timelock's delay has bounds: choose one between them",
    "FailedCall": "a call failed without saying why: look at its target",
    "TimelockInsufficientDelay": "the delay is shorter than the timelock's",
    "TimelockInvalidOperationLength": "targets, values and calls must be equally many",
    "TimelockUnauthorizedCaller": "only the timelock itself may",
    "TimelockUnexecutedPredecessor": "another decision must be carried out first",
    "TimelockUnexpectedOperationState": "the decision is not ready, was carried out, or is too old: stkrp2p gov list",
}

_COUNCIL = {
    "AlreadyCast": "the stake has voted in this ballot; it votes once",
    "AlreadySeated": "the account sits in the council already",
    "AlreadyVoted": "the governor has voted on this proposal; it votes once",
    "BadInvitation": _DEPLOYMENT,
    "BadInvitedCount": _DEPLOYMENT,
    "BadPhases": _DEPLOYMENT,
    "InvitedTwice": _DEPLOYMENT,
    "CallForbidden": "no vote touches the timelock's roles; only its delay may be changed",
    "CheckpointUnorderedInsertion": _REPORT,
    "ElectionNotDue": "no election is due yet, wait until its date: stkrp2p gov status",
    "ElectionNotOpen": "this election is not open: stkrp2p gov status",
    "ElectionOpen": "an election is open and must be closed first",
    "ElectionOver": "this election takes nobody and no vote any more",
    "ElectionRuns": "the election still runs: close it after its time",
    "InvitationOver": "invitations ended with the first elected list: stand in an election",
    "IsInvited": "who was invited accepts the seat instead of standing",
    "NoSuchBallot": "there is no ballot of this number",
    "NoSuchProposal": "there is no proposal of this number: stkrp2p gov status",
    "NoWeight": "the account had no stake before the ballot opened: stake before the next one",
    "NodeTaken": "the node is another account's: name one of your own",
    "NotCandidate": "that account does not stand in this election",
    "NotEnoughStake": "the stake is below what a seat asks: stake more",
    "NotGovernor": "only who sits in the council may",
    "NotInvited": "the account was not invited: stand in an election",
    "NotNextProposal": "proposals are closed in order: close the earlier one first",
    "NotReferendum": "stakers vote on referenda only; governors vote on this one",
    "NotYetOver": "a stake is final only for a time that is over",
    "NothingLeaving": "nothing of the stake was asked back",
    "NothingSlashed": "nothing that was slashed waits to be handed on",
    "OtherCalls": "these are not the calls that were proposed",
    "OtherTerm": "the proposal was put to the council of another term: propose it anew",
    "ProposalOpen": "a governor has one open proposal at a time: wait until it is closed",
    "SeatedLater": "the governor took its seat after the proposal was opened",
    "StakeBound": "the stake stays while its owner sits in the council or stands in an election",
    "StakeTooSmall": "there is not so much staked",
    "StillLeaving": "the stake is not free yet, withdraw it after its time: stkrp2p gov status",
    "TooManyBytes": "the proposal is too long: shorten calls or summary",
    "TooManyCalls": "the proposal has too many calls: split it",
    "VotingOver": "the time to vote on this proposal is over",
    "VotingRuns": "the vote still runs: close the proposal after its time",
    "ZeroAmount": "an amount of nothing changes nothing",
    "ZeroNode": "a node id of zeros is no node",
    "BallotRuns": "the ballot still runs: claim after it is closed",
    "NobodyVoted": "nobody voted in this ballot",
    "NothingToClaim": "nothing of this ballot is the account's, or no more",
    "SomebodyVoted": "somebody voted in this ballot: the reward is theirs",
    "ZeroReward": "a reward of nothing is none",
}

_PRICES = {
    "BadBase": "a reference price must lie in the contract's bounds",
    "BadDecimals": "a price feed has at most 18 decimals",
    "BadPrice": "the price feed answers nothing usable: try again later",
    "FuturePrice": "the price feed's time is in the future: try again later",
    "PriceMoved": "the price moved further than is believed at once: stkrp2p gov poke, twice",
    "StalePrice": "the price is too old: try again when the feed was updated",
    "UnfinishedRound": "the price feed is in the middle of an update: try again later",
    "NotPayer": _INTERNAL,
    "InsufficientBalance": "there is less ETH than is to be paid",
}

_PROVIDERS = {
    "AlreadyBound": "the sidecar controls a blockchain node already: remove that first",
    "AlreadyJudged": "this epoch has disqualified the provider already",
    "BadNameLength": "a brand name has 1 to 64 bytes",
    "BadTier": "this tier asks for another share of the 32 ETH",
    "CapacityBelowUse": "more of the capacity serves deals now: wait until they end",
    "CapacityExceeded": "too little of the capacity is left: say a larger one, or wait",
    "ChainNodeTaken": "another sidecar controls this blockchain node",
    "ChallengeNotOpen": "there is no such challenge, or it is decided",
    "ChallengeOpen": "the node was challenged less than an epoch ago",
    "DetailsTooLong": "the details are too long: give an address of a text",
    "EpochNotFinal": "the epoch is not anchored, or may still be challenged: wait until it is final",
    "EpochNotLatest": "a later epoch is final: show its score",
    "EpochTooEarly": "the epoch began before the challenge: show a later one",
    "EpochVoid": "in a void epoch nothing was seen: show another",
    "GoodEnough": "the score is good enough, or too young to judge by",
    "LightSidecar": "a light sidecar controls no blockchain node: register a full one",
    "NameTaken": "an approved provider has this name: apply under another",
    "NeverAdded": "the node was never added to a provider",
    "NodeNotBusy": _INTERNAL,
    "NodeNotFree": "the node is not the provider's, or serves another deal: take another node",
    "NotActive": "the registration is leaving or has left",
    "NotBound": "the sidecar is bound to no blockchain node: add the node first",
    "NotDeals": _INTERNAL,
    "NotLocked": _INTERNAL,
    "NotOperator": "the registration is another operator's",
    "NotProved": "the proof does not lead to what was anchored: make it from the epoch's own tables",
    "NotUp": "the score says that the node was not up",
    "NothingUnbonding": "nothing of the stake was asked back",
    "OtherName": "the account applied under another name meanwhile",
    "OtherNode": "the proof is of another node, or of another registration of it",
    "PageTooLong": "a page has at most 100 entries",
    "PriceTooHigh": "the price is above the policy's maximum: stkrp2p policy show",
    "StakeLocked": "the stake answers for deals that run or claims that are open",
    "StakeTooHigh": "the stake would be above the policy's maximum: stake less",
    "StakeTooLow": "a provider that stays keeps the policy's least stake: unstake less, or leave",
    "StillUnbonding": "the stake is not free yet, withdraw it after its time: stkrp2p provider status",
    "WrongStatus": "the account is not where this needs it: stkrp2p provider status",
    "ZeroChainNode": "a blockchain node's id is not zeros",
}

_MARKET = {
    "AlreadyCommitted": "the provider has sealed another bid for this deal; one counts",
    "BidAboveFixedPrice": "the bid is above the fixed price: it cannot be opened",
    "FixedPriceAbove": "the price rose above what you allow: raise the most to pay",
    "LengthTooLong": "a project lasts a year at most",
    "NeedTooSmall": "the project needs less than its type says: stkrp2p policy show",
    "NoChoice": "this auction's rule leaves the choice to the draw",
    "NobodyRevealed": "no bid was opened: close the auction to get the money back",
    "NotCommitted": "the account sealed no such bid, or opened it already",
    "NotEligible": "the provider may not bid on this deal: stkrp2p provider status",
    "NotLatestEpoch": "scores are taken from the latest final epoch, which has changed: do it again",
    "NotOpen": "there is no such auction, or it is over",
    "NotOver": "there is no such auction, or it is not over yet",
    "NotRequester": "only who opened the auction may",
    "NotShortlisted": "that provider is not among the lowest bids",
    "NothingToFlush": "no bond was lost, or the insurance has them",
    "NothingToReclaim": "there is no bond of the account to give back",
    "OtherEpoch": "the score is of another epoch than the auction's: prove the one it names",
    "OutsideTime": "it is not the time for this: stkrp2p request status",
    "ScoreTooLow": "the node's anchored score is below what the project's type asks",
    "StillUnderWay": "bids are there or may come in: wait until the auction ends",
    "TypeClosed": "no projects of this type are taken: stkrp2p policy show",
    "ZeroBeaconPeriod": _DEPLOYMENT,
    "ZeroLength": "a project must take time",
}

_DEALS = {
    "AlreadyDisputed": "this party has disputed the deal before; once is enough",
    "BadAssignment": _INTERNAL,
    "DealExists": _INTERNAL,
    "EpochOutsideRun": "the epoch does not lie wholly inside the run: show another",
    "EthRefused": "the receiver refuses ETH: collect to another address",
    "Frozen": "the deal is disputed: wait for the governors' ruling or its time",
    "TooLittleGas": "the provider's stake pays for this, and that takes more gas: allow more",
    "InsuranceEmpty": "the insurance has nothing to give now: try again later",
    "LossTooLarge": "a ruling gives at most what both staked, and only for a failure",
    "NoProfit": "there must be some profit to add",
    "NotAllowed": "that is for the other party of the deal",
    "NotDisputed": "the deal is not disputed, or no longer",
    "NotDisqualified": "the provider is not disqualified: the deal goes on",
    "NotFailing": "the node did what it should by this score",
    "NotParty": "only requester and provider dispute a deal",
    "NotPot": "only the insurance and the reward pot are handed shares",
    "NotSilent": "the challenge shows no silence of the deal's node inside the run",
    "NotTaken": _REPORT,
    "NothingLost": "nothing of a loss is left to be paid from there",
    "NothingOwed": "nothing is owed to the account",
    "ReentrancyGuardReentrantCall": "a call came back into this one: collect to another address",
    "OtherDispute": "the ruling is about another dispute of the deal than the latest",
    "TooEarly": "it is too early for this: stkrp2p request status",
    "TooLate": "the time for this is over: stkrp2p request status",
    "UnexpectedEth": "ETH comes here only with a call that says what for",
    "WrongEth": "exactly the deal's ETH must come along: look at the deal and try again",
    "WrongState": "the deal is in another state: stkrp2p request status",
}

_TOKEN = {
    "ERC20InsufficientAllowance": "the contract may not take so much ANKR: allow it first",
    "ERC20InsufficientBalance": "the account has too little ANKR: send some to it",
    "ERC20InvalidApprover": _REPORT,
    "ERC20InvalidReceiver": "ANKR cannot go to the zero address",
    "ERC20InvalidSender": _REPORT,
    "ERC20InvalidSpender": _REPORT,
    "FaucetExceeded": "so much test ANKR is not given at once: ask for a million at most",
    "SafeERC20FailedOperation": "the token refused to move ANKR: look at balance and allowance",
    "SafeCastOverflowedIntToUint": "the number is below zero",
    "SafeCastOverflowedUintDowncast": "the number is too large",
}

_GAS = {
    OUT_OF_GAS: "it took more gas than it was allowed, as others came first: run the command again"
}

REASONS: Mapping[str, str] = (
    _GAS | _POLICY | _TIMELOCK | _COUNCIL | _PRICES | _PROVIDERS | _MARKET | _DEALS | _TOKEN
)
"""A sentence for each error, by its name; and for running out of gas."""


def reason_of(error: Rejected) -> str:
    """Return why a contract refused, for people: the sentence, and the error with its values."""
    why, command = advice_of(error)
    return f"{why}: {command}" if command else why


def advice_of(error: Rejected) -> tuple[str, str]:
    """Return why a contract refused, and the command that helps; empty where none does."""
    detail = str(error).removeprefix("rejected: ")
    sentence = REASONS.get(error.rule)
    if sentence is None:
        return detail, ""
    why, _, command = sentence.partition(": stkrp2p ")
    return f"{why} ({detail})", command and f"stkrp2p {command}"
