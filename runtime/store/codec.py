"""Values to JSON and back: what the journal and the bank write. No pickle, and decode(encode(x)) == x."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.records import (
    Guideline,
    Message,
    Proposal,
    SampleRequest,
    TrialResult,
    TrialState,
    Usage,
)

Document = dict[str, Any]
"""A JSON object."""


def encode_request(request: SampleRequest) -> Document:
    """Return a request as JSON; without extra fields `extra` is left out, as before there were any."""
    document = {f.name: getattr(request, f.name) for f in fields(request) if f.name != "extra"}
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    extra = {"extra": dict(request.extra)} if request.extra else {}
    return {**document, "messages": messages, "stop": list(request.stop), **extra}


def decode_request(document: Document) -> SampleRequest:
    """Read a request."""
    messages = tuple(Message(**m) for m in document["messages"])
    return SampleRequest(**{**document, "messages": messages, "stop": tuple(document["stop"])})


def encode_usage(usage: Usage) -> Document:
    """Return a usage as JSON."""
    return asdict(usage)


def decode_usage(document: Document) -> Usage:
    """Read a usage."""
    return Usage(**document)


def encode_proposal(proposal: Proposal) -> Document:
    """Return a proposal as JSON; its allocation in the form of the allocation file."""
    return {
        "allocation": proposal.allocation.document(),
        "reason": proposal.reason,
        "source": proposal.source,
    }


def decode_proposal(document: Document) -> Proposal:
    """Read a proposal."""
    return Proposal(Allocation.of(document["allocation"]), document["reason"], document["source"])


def encode_guideline(guideline: Guideline) -> Document:
    """Return a guideline as JSON."""
    return {"number": guideline.number, "text": guideline.text, "trials": list(guideline.trials)}


def decode_guideline(document: Document) -> Guideline:
    """Read a guideline."""
    return Guideline(document["number"], document["text"], tuple(document["trials"]))


def encode_result(result: TrialResult) -> Document:
    """Return a trial's result as JSON."""
    document = {f.name: getattr(result, f.name) for f in fields(result)}
    return {
        **document,
        "proposal": encode_proposal(result.proposal),
        "state": result.state.value,
        "scores": dict(result.scores),
        "stage_scores": {stage: dict(scores) for stage, scores in result.stage_scores.items()},
        "usage": encode_usage(result.usage),
        "drawn": encode_usage(result.drawn),
    }


def decode_result(document: Document) -> TrialResult:
    """Read a trial's result."""
    values = {
        **document,
        "proposal": decode_proposal(document["proposal"]),
        "state": TrialState(document["state"]),
        "usage": decode_usage(document["usage"]),
        "drawn": decode_usage(document["drawn"]),
    }
    return TrialResult(**values)
