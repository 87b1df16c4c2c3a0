"""The unmodified OpenAI SDK drives every operation, `sync` or `async`, against a running server.

The server's address and keys come from the environment, as `dev.env` gives them.
"""

import asyncio
import inspect
import os
import subprocess
import sys
import tempfile
import time

import openai

PAGED = 7


async def got(answer):
    """What a call returns, from either client."""
    return await answer if inspect.isawaitable(answer) else answer


async def everything(pages):
    """Every entry of a list, page after page, from either client."""
    if hasattr(pages, "__aiter__"):
        return [entry async for entry in pages]
    return list(pages)


async def refused(kind, code, call, **arguments):
    """The call fails with this class of error and this code."""
    try:
        answer = await got(call(**arguments))
    except openai.APIStatusError as error:
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        assert error.code == code, f"{error.code}: {error}"
        assert error.request_id, "a failure names its request"
        return error
    raise AssertionError(f"expected {code}, got {answer!r}")


def mint(directory, common_name):
    """A root certificate, made as an administrator makes one."""
    path = os.path.join(directory, f"{common_name}.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", f"{path}.key", "-out", path, "-days", "30"]
        + ["-subj", f"/O=Example/CN={common_name}"],
        check=True,
        capture_output=True,
    )
    with open(path, newline="") as file, open(f"{path}.key", newline="") as key:
        return file.read(), key.read()


async def read_and_rename(certificates, pem, private_key):
    made = await got(certificates.create(certificate=pem, name="first"))
    assert made.object == "certificate" and made.id.startswith("cert_"), made
    assert made.name == "first" and made.active is None, made
    assert made.certificate_details.valid_at < time.time() < made.certificate_details.expires_at

    plain = await got(certificates.retrieve(made.id))
    assert plain == made and plain.certificate_details.content is None, plain
    full = await got(certificates.retrieve(made.id, include=["content"]))
    assert full.certificate_details.content == pem

    renamed = await got(certificates.update(made.id, name="second"))
    assert renamed.name == "second" and renamed.object == "certificate", renamed
    unchanged = await got(certificates.update(made.id))
    assert unchanged.name == "second", unchanged

    unknown = made.id[:-4] + "zzzz"
    await refused(openai.NotFoundError, "not_found", certificates.retrieve, certificate_id=unknown)
    await refused(openai.NotFoundError, "not_found", certificates.update, certificate_id=unknown, name="x")
    await refused(openai.NotFoundError, "not_found", certificates.delete, certificate_id=unknown)
    leak = await refused(
        openai.BadRequestError, "mtls_certificate_invalid", certificates.create, certificate=private_key
    )
    assert leak.param == "certificate" and private_key.splitlines()[1] not in str(leak), leak
    wrong = await refused(
        openai.BadRequestError, "invalid_value", certificates.update, certificate_id=made.id, name=""
    )
    assert wrong.param == "name", wrong
    nameless = await got(certificates.create(certificate=pem))
    assert nameless.name is None, nameless
    await got(certificates.delete(nameless.id))
    return made.id


async def page_through(certificates, project_certificates, project_id, pem):
    before = {entry.id for entry in await everything(certificates.list())}
    made = [(await got(certificates.create(certificate=pem, name=f"page {n}"))).id for n in range(PAGED)]
    ascending = [entry.id for entry in await everything(certificates.list(limit=2, order="asc"))]
    assert [entry for entry in ascending if entry not in before] == made, ascending
    descending = [entry.id for entry in await everything(certificates.list(limit=3, order="desc"))]
    assert descending == ascending[::-1], descending
    there = await everything(project_certificates.list(project_id, limit=2, order="asc"))
    assert [entry.id for entry in there] == ascending, there
    assert {entry.object for entry in there} == {"organization.project.certificate"}, there
    first = await got(certificates.list(limit=2, order="asc"))
    assert len(first.data) == 2 and first.has_more and first.last_id == ascending[1], first
    error = await refused(openai.BadRequestError, "invalid_value", certificates.list, limit=101)
    assert error.param == "limit", error
    return made


async def switch(certificates, project_certificates, project_id, ids):
    on = await everything(certificates.activate(certificate_ids=ids))
    assert [(entry.id, entry.active) for entry in on] == [(name, True) for name in ids], on
    assert {entry.object for entry in on} == {"organization.certificate"}, on
    on = await everything(project_certificates.activate(project_id, certificate_ids=ids[::-1]))
    assert [(entry.id, entry.active) for entry in on] == [(name, True) for name in ids[::-1]], on
    assert {entry.object for entry in on} == {"organization.project.certificate"}, on

    await refused(openai.BadRequestError, "certificate_in_use", certificates.delete, certificate_id=ids[0])
    off = await everything(certificates.deactivate(certificate_ids=ids))
    assert [entry.active for entry in off] == [False] * len(ids), off
    await refused(openai.BadRequestError, "certificate_in_use", certificates.delete, certificate_id=ids[0])
    listed = {entry.id: entry.active for entry in await everything(project_certificates.list(project_id))}
    assert all(listed[name] for name in ids), listed
    listed = {entry.id: entry.active for entry in await everything(certificates.list())}
    assert not any(listed[name] for name in ids), listed
    off = await everything(project_certificates.deactivate(project_id, certificate_ids=ids))
    assert [entry.active for entry in off] == [False] * len(ids), off


async def report_only(certificates, name):
    """What is only reported is said so in a field that the SDK does not know."""
    on = await everything(certificates.activate(certificate_ids=[name], extra_body={"enforcement": "report"}))
    assert [(entry.active, entry.enforcement) for entry in on] == [(True, "report")], on
    listed = {entry.id: entry for entry in await everything(certificates.list())}
    assert listed[name].enforcement == "report", listed
    on = await everything(certificates.activate(certificate_ids=[name]))
    assert on[0].active and not hasattr(on[0], "enforcement"), on
    error = await refused(
        openai.BadRequestError,
        "invalid_value",
        certificates.activate,
        certificate_ids=[name],
        extra_body={"enforcement": "maybe"},
    )
    assert error.param == "enforcement", error
    await everything(certificates.deactivate(certificate_ids=[name]))


async def delete(certificates, ids):
    for name in ids:
        gone = await got(certificates.delete(name))
        assert gone.id == name and gone.object == "certificate.deleted", gone
        await refused(openai.NotFoundError, "not_found", certificates.retrieve, certificate_id=name)


async def projects_and_keys(organization):
    projects = organization.projects
    project = await got(projects.create(name="sdk"))
    assert project.object == "organization.project" and project.status == "active", project
    assert (await got(projects.retrieve(project.id))).name == "sdk"
    assert (await got(projects.update(project.id, name="sdk 2"))).name == "sdk 2"
    assert project.id in {entry.id for entry in await everything(projects.list(limit=1))}

    account = await got(projects.service_accounts.create(project.id, name="worker"))
    assert account.api_key and account.api_key.value, "the key is shown once"
    read = projects.service_accounts.retrieve
    same = await got(read(account.id, project_id=project.id))
    assert same.name == "worker" and not hasattr(same, "api_key"), same
    accounts = await everything(projects.service_accounts.list(project.id, limit=1))
    assert [entry.id for entry in accounts] == [account.id], accounts
    keys = await everything(projects.api_keys.list(project.id))
    assert [key.id for key in keys] == [account.api_key.id], keys
    assert account.api_key.value not in keys[0].to_json(), "a listed key is redacted"
    assert (await got(projects.api_keys.retrieve(keys[0].id, project_id=project.id))).id == keys[0].id
    assert (await got(projects.api_keys.delete(keys[0].id, project_id=project.id))).deleted
    assert (await got(projects.service_accounts.delete(account.id, project_id=project.id))).deleted
    await refused(openai.NotFoundError, "not_found", read, service_account_id=account.id, project_id=project.id)
    assert (await got(projects.archive(project.id))).status == "archived"
    return project.id


async def admin_keys(organization, make_client):
    keys = organization.admin_api_keys
    key = await got(keys.create(name="sdk"))
    assert key.object == "organization.admin_api_key" and key.value, key
    assert not hasattr(await got(keys.retrieve(key.id)), "value")
    assert key.id in {entry.id for entry in await everything(keys.list(limit=1))}
    other = make_client(key.value)
    await everything(other.admin.organization.certificates.list())
    assert (await got(keys.delete(key.id))).deleted
    error = await refused(
        openai.AuthenticationError, "invalid_api_key", other.admin.organization.certificates.list
    )
    assert key.value not in str(error), "an error never repeats a key"


async def audit(organization, certificate_id, project_id):
    logs = organization.audit_logs
    mine = await everything(logs.list(resource_ids=[certificate_id], limit=2))
    kinds = [event.type for event in mine]
    assert kinds[0] == "certificate.deleted" and kinds[-1] == "certificate.created", kinds
    # Activated and deactivated at two scopes, renamed once: an unchanged name leaves no trace.
    assert kinds.count("certificates.activated") == kinds.count("certificates.deactivated") == 2, kinds
    assert kinds.count("certificate.updated") == 1, kinds
    made = await everything(logs.list(event_types=["certificate.created"], limit=2))
    assert len(made) > PAGED and {event.type for event in made} == {"certificate.created"}, made
    there = await everything(logs.list(project_ids=[project_id]))
    assert "project.archived" in [event.type for event in there], there
    assert not await everything(logs.list(effective_at={"lt": 1}))


async def lifecycle(make_client):
    client = make_client(os.environ["OPENAI_ADMIN_KEY"])
    organization = client.admin.organization
    certificates, project_certificates = organization.certificates, organization.projects.certificates
    with tempfile.TemporaryDirectory() as directory:
        pem, private_key = mint(directory, "root")
    project_id = os.environ["OPENAI_PROJECT_ID"]
    first = await read_and_rename(certificates, pem, private_key)
    made = await page_through(certificates, project_certificates, project_id, pem)
    await switch(certificates, project_certificates, project_id, [first, *made[:3]])
    await report_only(certificates, made[0])
    await delete(certificates, [first, *made])
    archived = await projects_and_keys(organization)
    await admin_keys(organization, make_client)
    await audit(organization, first, archived)


CLIENTS = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}

if __name__ == "__main__":
    kind = CLIENTS[sys.argv[1]]
    asyncio.run(lifecycle(lambda key: kind(admin_api_key=key, api_key="unused", max_retries=0)))
    print(f"the {sys.argv[1]} client passed")
