"""Forms that change campaigns: create, edit, pause, resume, kill switch, given split, lift, and what becomes of held
reports. Plain HTML, no script.

A form is opened (GET), checked and shown once more with what it changes (POST, `step=check`), and only then done (POST,
`step=do`); the browser is sent back to the page. Checks and changes are those of `serving.campaigns.service`, as over
JSON; what is refused is the form again, its inputs kept, the sentence beside the field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from crossmix.ledger import quarantine, switches
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import StoreAwayError
from serving.campaigns import schema as plan
from serving.campaigns import service
from serving.feedback.decision import Decision
from serving.fields import LONGEST_REASON, CampaignError
from serving.http.quarantine import decided
from serving.http.writers import BusyError, Writers
from serving.page import csrf, form_view, forms

if TYPE_CHECKING:
    from serving.live.live import Live

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    # With no-referrer a browser would hide the Origin of this server's own forms too.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
DONE = {
    "new": "The campaign was created.",
    "edit": "The change holds from now on.",
    "pause": "The campaign is paused: it spends nothing until it is resumed.",
    "resume": "The campaign spends again.",
    "kill": "The kill switch is on: both arms serve the static split until it is lifted.",
    "split": "Both arms serve the given split until it is lifted.",
    "lift": "The campaign is back with its policy.",
    "confirm": "The reports that were held are believed from now on.",
    "discard": "The reports that were held stay unknown for good.",
    "pending": "This server serves it from now on; the database cannot be written now, and gets it when it can.",
    "nothing": "Nothing was changed: the form said what holds already.",
}
"""What the page says after a form, by its name."""
Switch = Callable[[str, str, str, str, Mapping[str, Any] | None], Awaitable[bool]]
"""Makes pause, resume, kill, split or lift hold: action, campaign, who, reason, given split; whether it is written."""
_ACTIONS = {"pause": switches.PAUSE, "resume": switches.RESUME, "lift": switches.LIFT}
GUARD = {"confirm": "confirmed", "discard": "discarded"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that came in."""

    action: str
    values: dict[str, str]
    actor: str

    @property
    def reason(self) -> str:
        reason = self.values.get("reason", "").strip().replace("\r\n", "\n")
        if len(reason) > LONGEST_REASON or "\x00" in reason:
            raise CampaignError(f"reason: {len(reason):,} characters; give text of at most {LONGEST_REASON:,}")
        return reason


def add(routes: APIRouter, live: Live, switch: Switch) -> None:
    """The forms' routes."""
    signer, writers = csrf.Signer(lambda: live.store.identity()), Writers("desk")

    @routes.get("/desk/{action}", include_in_schema=False)
    async def opened(request: Request, action: str, campaign: str = "") -> Response:
        known = live.campaigns
        if action not in form_view.TITLES or (action != "new" and campaign not in known):
            return _nothing(action, campaign)
        one = known.get(campaign) if action != "new" else None
        values = await run_in_threadpool(_blank, action, one, live) if action in GUARD else _blank(action, one, live)
        return await _form(request, signer, action, one, live, values)

    @routes.post("/desk/{action}", include_in_schema=False)
    async def sent(request: Request, action: str) -> Response:
        actor = _actor(request)
        try:
            values = forms.parse(await request.body())
            cookie = csrf.session_of(request.cookies.get(csrf.COOKIE))
            await _with(signer, signer.check, dict(request.headers), cookie, actor, values.get("token", ""))
        except CampaignError as error:
            return _refusal(error.status, str(error))
        except csrf.ForgedError as error:
            return _refusal(403, str(error))
        campaign = values.get("campaign", "")
        known = live.campaigns
        if action not in form_view.TITLES or (action != "new" and campaign not in known):
            return _nothing(action, campaign)
        one = known.get(campaign) if action != "new" else None
        if values.get("step") == "back":
            return await _form(request, signer, action, one, live, values)
        form = Sent(action, values, actor)
        try:
            changed = await run_in_threadpool(_checked, form, one, live)
            if changed is None:
                return _back(campaign, "nothing")
            if values.get("step") != "do":
                return await _form(request, signer, action, one, live, values, review=changed)
            if action in GUARD:
                await writers.run(lambda: _decide(form, campaign, live))
                return _back(campaign, action)
            if one is None or action == "edit":
                return _back(await writers.run(lambda: _do(form, one, live)), action)
            share = forms.share(values, live.platforms) if action == "split" else None
            written = await switch(action, one.campaign_id, actor, form.reason, share)
        except CampaignError as error:
            return await _form(request, signer, action, one, live, values, str(error), error.status)
        except (StoreAwayError, BusyError) as error:
            sentence = f"{error}; nothing was changed"
            refused = await _form(request, signer, action, one, live, values, sentence, 503)
            refused.headers["retry-after"] = "1"
            return refused
        return _back(one.campaign_id, action if written else "pending")


def _blank(action: str, one: Campaign | None, live: Live) -> dict[str, str]:
    """The fields of a form that is opened."""
    if action in GUARD and one is not None:
        return {"was": str(max((cell.cycle for cell in _held(live, one.campaign_id)), default=-1))}
    if action in form_view.SHORT:
        return {}
    if action == "split" and one is not None:
        override = one.override.share if one.override is not None else None
        return {f"share.{name}": f"{part:.10g}" for name, part in (override or one.share).items()}
    values = forms.shown(one, live.platforms)
    return values if one is None else {**values, "was": forms.snapshot(values)}


def _checked(form: Sent, one: Campaign | None, live: Live) -> list[tuple[str, str, str]] | None:
    """What a form would change: field, before, after; `None`: nothing. Raises `CampaignError`."""
    platforms, values, reason = live.platforms, form.values, form.reason
    if form.action in form_view.SHORT:
        return [("reason", "", reason)]
    if one is None:
        new = service.validate(forms.raw(values, platforms), platforms)
        if new.campaign_id in live.campaigns:
            raise service.CampaignExistsError(
                f"campaign_id: {new.campaign_id!r} is there already; edit it or choose a name"
            )
        return form_view.changes({}, new.planned())
    if form.action == "split":
        share = plan.check_override("given", forms.share(values, platforms), platforms)
        before = one.override.share if one.override is not None and one.override.share else one.share
        return form_view.changes({"share": before}, {"share": share}) or [("share", "", "as now, held by hand")]
    edit = _edit(form, live)
    if not edit:
        return None
    new = service.edited(one, edit, platforms)
    return form_view.changes(one.planned(), new.planned()) or None


def _edit(form: Sent, live: Live) -> dict[str, Any]:
    return forms.changes(form.values, forms.restored(form.values.get("was", "")), live.platforms)


def _do(form: Sent, one: Campaign | None, live: Live) -> str:
    """Create or edit what the form says; the campaign's name. Raises `CampaignError`, `StoreAwayError`."""
    store, platforms, actor, reason = live.store, live.platforms, form.actor, form.reason
    if one is None:
        name = service.create(store, forms.raw(form.values, platforms), platforms, actor, reason).campaign_id
    else:
        name = service.edit(store, one.campaign_id, _edit(form, live), platforms, actor, reason).campaign_id
    live.reload()
    return name


def _held(live: Live, campaign_id: str) -> list[quarantine.Entry]:
    try:
        return quarantine.read(live.store, [campaign_id], [quarantine.HELD])
    except StoreAwayError:
        return []


def _decide(form: Sent, campaign_id: str, live: Live) -> None:
    """Decide about what the form showed as held; raises `CampaignError`, `StoreAwayError`."""
    seen = form.values.get("was", "")
    if not seen.isdecimal():
        raise CampaignError("form: nothing was held when it was opened; open it again")
    held = {"campaign_id": campaign_id, "state": GUARD[form.action], "last": int(seen), "reason": form.reason}
    decided(live, Decision.read(held), form.actor)


def switcher(live: Live) -> Switch:
    """The kill switch's own lane: what it is asked holds at once, written or not."""

    async def switch(action: str, name: str, actor: str, reason: str, share: Mapping[str, Any] | None) -> bool:
        kind = None if action not in ("kill", "split") else "static" if share is None else "given"
        split = plan.check_override(kind, share, live.platforms) if kind else None
        change = switches.Switch(_ACTIONS.get(action, switches.SET), name, actor, reason, live.clock(), kind, split)
        return (await live.lane.ask(change)).revision is not None

    return switch


async def _form(
    request: Request,
    signer: csrf.Signer,
    action: str,
    one: Campaign | None,
    live: Live,
    values: Mapping[str, str],
    sentence: str | None = None,
    status: int = 200,
    review: list[tuple[str, str, str]] | None = None,
) -> Response:
    """The form, or what it changes (`review`) to be confirmed; `sentence`: why it was refused."""
    session = csrf.session_of(request.cookies.get(csrf.COOKIE)) or csrf.new_session()
    token = await _with(signer, signer.sign, session, _actor(request))
    text = form_view.render(
        action,
        one,
        live.platforms,
        values,
        token=token,
        sentence=sentence,
        review=review,
    )
    response = HTMLResponse(text, status, HEADERS)
    response.set_cookie(
        csrf.COOKIE,
        session,
        max_age=csrf.HOURS * 3_600,
        path=None,  # where this page is, as the browser knows it
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


async def _with(signer: csrf.Signer, work: Callable[..., Any], *args: Any) -> Any:
    """What a signer says; on a thread only while it asks the database for its key: threads may all be waiting."""
    return work(*args) if signer.ready else await run_in_threadpool(work, *args)


def _back(campaign: str, done: str) -> Response:
    where = f"{form_view.ROOT}/?campaign={quote(campaign, safe='')}&done={done}"
    return RedirectResponse(where, HTTPStatus.SEE_OTHER, HEADERS)


def _nothing(action: str, campaign: str) -> Response:
    what = (
        f"campaign: {campaign[:200]!r} is unknown" if action in form_view.TITLES else f"{action[:40]!r}: no such form"
    )
    return _refusal(404, f"{what}; go back to the page and choose one")


def _refusal(status: int, sentence: str) -> Response:
    return HTMLResponse(form_view.refusal(sentence), status, HEADERS)


def _actor(request: Request) -> str:
    """The token's name, where the server asks for tokens."""
    return str((request.scope.get("state") or {}).get("actor") or "local")
