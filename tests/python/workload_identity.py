"""The unmodified OpenAI SDK exchanges a client certificate for a token, `sync` or `async`, and calls with it.

It may be sent nowhere but to its own host names, so a proxy takes these to the gateway. The server's address
and keys come from the environment, as `dev.env` gives them.
"""

import asyncio
import os
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

import httpx2
import openai

SUBJECT = {"attribute": "openai.subject", "expression": "assertion.subject.common_name"}


def pipe(source, sink):
    """Carries bytes until one side ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def tunnel(client, gateway):
    """Answers one CONNECT, whatever host it names, with a tunnel to the gateway."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = client.recv(1)
        if not data:
            return
        head += data
    assert head.startswith(b"CONNECT mtls."), head
    server = socket.create_connection(gateway)
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    threading.Thread(target=pipe, args=(server, client), daemon=True).start()
    pipe(client, server)


def proxy(gateway):
    """A proxy that knows one server; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=tunnel, args=(client, gateway), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def tls():
    context = ssl.create_default_context(cafile=os.environ["COUNTERSIGN_SERVER_CA"])
    context.load_cert_chain(
        os.environ["OPENAI_MTLS_CLIENT_CERT_FILE"], os.environ["OPENAI_MTLS_CLIENT_KEY_FILE"]
    )
    return context


class Administrator:
    """What is set up for the workload, and changed under it."""

    def __init__(self):
        self.organization = openai.OpenAI().admin.organization
        self.project = os.environ["OPENAI_PROJECT_ID"]
        with open(os.environ["COUNTERSIGN_CLIENT_CA"]) as file:
            self.anchor = self.organization.certificates.create(certificate=file.read()).id
        self.organization.projects.certificates.activate(
            project_id=self.project, certificate_ids=[self.anchor]
        )
        accounts = self.organization.projects.service_accounts
        self.account = accounts.create(project_id=self.project, name="worker").id
        providers = self.organization.workload_identity_providers
        # The SDK asks for what only OIDC has: it is left out.
        self.provider = providers.create(
            name="mesh",
            type="x509",
            issuer=openai.omit,
            audience=openai.omit,
            attribute_transformations=[SUBJECT],
        )
        self.rules = providers.federation_rules
        self.rule = self.add_rule("dev-*")

    def add_rule(self, subject):
        return self.rules.create(
            workload_identity_provider_id=self.provider.id,
            project_id=self.project,
            service_account_id=self.account,
            attribute_matchers={"openai.subject": subject},
        )

    def look_at_them(self):
        providers = self.organization.workload_identity_providers
        assert [each.id for each in providers.list()] == [self.provider.id]
        assert providers.retrieve(self.provider.id).name == "mesh"
        rules = self.rules.list(self.provider.id, service_account_id=self.account)
        assert [each.id for each in rules] == [self.rule.id]
        assert self.rule.attribute_matchers == {"openai.subject": "dev-*"}
        assert self.rule.permissions.type == "service_account_default"
        events = self.organization.audit_logs.list(
            event_types=["workload_identity_provider_mapping.created"]
        )
        assert [each.type for each in events] == ["workload_identity_provider_mapping.created"]

    def enable(self, enabled):
        self.organization.workload_identity_providers.update(self.provider.id, enabled=enabled)


def identity(admin):
    return {
        "type": "x509",
        "identity_provider_id": admin.provider.id,
        "service_account_id": admin.account,
    }


def until(changed):
    """What the gateway does once a change has reached it."""
    end = time.monotonic() + 20
    while not changed():
        assert time.monotonic() < end, "the change does not reach the gateway"
        time.sleep(0.05)


def check(admin, make):
    """Calls pass with a token, by itself again after a refusal, and not without one rule and an anchor."""
    call = make()
    assert call() == admin.account
    assert call() == admin.account
    admin.enable(False)
    until(lambda: refused(call) == "invalid_grant")
    admin.enable(True)
    until(lambda: refused(call) is None)
    second = admin.add_rule("dev-client")
    fresh = make()
    assert refused(fresh) == "invalid_grant", "two rules match"
    admin.rules.delete(second.id, workload_identity_provider_id=admin.provider.id)
    assert refused(fresh) is None
    admin.organization.projects.certificates.deactivate(
        project_id=admin.project, certificate_ids=[admin.anchor]
    )
    until(lambda: refused(call) == "invalid_grant")


def refused(call):
    """What an exchange is refused with, if it is."""
    try:
        call()
    except openai.OAuthError as error:
        return error.error
    except openai.APIStatusError as error:
        return error.code
    return None


def told(response):
    """The service account that the upstream was told: `dev` has one that echoes."""
    return response["headers"]["x-countersign-service-account"]


def sync_client(admin, through):
    http = httpx2.Client(proxy=through, verify=tls(), trust_env=False)
    client = openai.OpenAI(
        workload_identity=identity(admin),
        base_url="https://mtls.api.openai.com/v1",
        http_client=http,
    )
    return lambda: told(client.get("/echo", cast_to=object))


def async_client(admin, through):
    loop = asyncio.new_event_loop()
    http = httpx2.AsyncClient(proxy=through, verify=tls(), trust_env=False)
    client = openai.AsyncOpenAI(
        workload_identity=identity(admin),
        base_url="https://mtls.api.openai.com/v1",
        http_client=http,
    )
    return lambda: told(loop.run_until_complete(client.get("/echo", cast_to=object)))


def main():
    gateway = urlsplit(os.environ["COUNTERSIGN_GATEWAY_URL"])
    admin = Administrator()
    admin.look_at_them()
    # The keys of the environment would be a second credential.
    del os.environ["OPENAI_API_KEY"], os.environ["OPENAI_ADMIN_KEY"]
    through = proxy((gateway.hostname, gateway.port))
    make = {"sync": sync_client, "async": async_client}[sys.argv[1]]
    check(admin, lambda: make(admin, through))


main()
