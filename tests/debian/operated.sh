#!/bin/sh
# Operates what the package installs, as docs/install.md, docs/backup.md and docs/gateway.md say, on a system without
# systemd: operated.sh PACKAGE PLANE CLIENTS ADMIN, the last three being free ports. Run it in a PID namespace of its
# own; what it started ends with that.
set -eu
export DEBIAN_FRONTEND=noninteractive
package=$1 plane=$2 clients=$3 admin=$4
data=/var/lib/countersign
settings=/etc/countersign/gateways/edge.toml
cd /root

die() {
    echo "error: $*" >&2
    tail -n 20 /tmp/serve.log /tmp/gateway.log >&2 || true
    exit 1
}
# until_so WHAT COMMAND...: until the command succeeds.
until_so() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || die "it did not happen that $what"
        sleep 0.2
    done
}
as_user() {
    runuser -u countersign -- "$@"
}
# As its unit starts it; sets `pid`.
start() {
    log=$1
    shift
    setpriv --reuid=countersign --regid=countersign --init-groups "$@" >"$log" 2>&1 &
    pid=$!
}
ask_gateway() {
    curl --silent --insecure --output /dev/null --write-out '%{http_code}' "https://127.0.0.1:$clients/"
}
readiness() {
    curl --silent "http://127.0.0.1:$admin/readyz"
}
says() {
    readiness | grep -q "$1"
}

dpkg --install "$package" >/dev/null
sed -i "s/127.0.0.1:8085/127.0.0.1:$plane/" /etc/countersign/countersign.toml
as_user countersign organization create --name acme --key-file "$data/admin.key" >/dev/null
serve() {
    start /tmp/serve.log /usr/bin/countersign serve --config /etc/countersign/countersign.toml
    serving=$pid
    until_so "the control plane is ready" curl --silent --fail "http://127.0.0.1:$plane/readyz"
}
serve

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=edge -addext subjectAltName=DNS:edge \
    -keyout edge.key -out edge.pem 2>/dev/null
as_user countersign gateway-key create --name edge --key-file "$data/gateway.key" >/dev/null
install -m 0640 -g countersign "$data/gateway.key" edge.pem edge.key /etc/countersign/gateways/
rm "$data/gateway.key"
install -m 0640 -g countersign /usr/share/doc/countersign/examples/gateway.toml "$settings"
sed -i "s/0.0.0.0:443/127.0.0.1:$clients/; s/:9090/:$admin/; s|https://countersign.example.com:8085|http://127.0.0.1:$plane|" \
    "$settings"
OPENAI_BASE_URL=http://127.0.0.1:$plane/v1 OPENAI_ADMIN_KEY=$(cat $data/admin.key) COUNTERSIGN_GATEWAY_CONFIG=$settings \
    as_user countersign doctor >/tmp/doctor.log 2>&1 || {
    cat /tmp/doctor.log >&2
    die "doctor finds fault with what docs/install.md says"
}
gateway() {
    start /tmp/gateway.log /usr/bin/countersign gateway --config "$settings"
    gateway=$pid
    until_so "the gateway is ready" says '"ready":true'
}
gateway
[ "$(ask_gateway)" = 401 ] || die "the gateway does not refuse a request without a key"

echo "== logs are rotated"
until_so "the request is logged" test -s /var/log/countersign/edge.log
logrotate --force /etc/logrotate.d/countersign
until_so "the log is opened again" test -e /var/log/countersign/edge.log
[ "$(ask_gateway)" = 401 ] || die "the gateway does not go on"
until_so "lines go to the new log" test -s /var/log/countersign/edge.log
[ -s /var/log/countersign/edge.log.1 ] || die "the old log is gone"

echo "== configurations are reloaded, and those that cannot be used are not"
sed -i 's/127.0.0.1:8000/127.0.0.1:8001/' "$settings"
kill -HUP "$gateway"
until_so "the routes are reloaded" grep -q "configuration reloaded" /tmp/gateway.log
cp -p "$settings" /tmp/good.toml
echo 'nonsense = 1' >>"$settings"
kill -HUP "$gateway"
until_so "a wrong configuration is told of" says "nonsense"
says '"ready":true' || die "a wrong configuration stopped the gateway"
cp -p /tmp/good.toml "$settings"
kill -HUP "$gateway"
until_so "the warning ends" says '"warnings":\[\]'

echo "== backup, a lost disk, restore"
install -d -m 0700 -o countersign -g countersign /backups
as_user countersign backup /backups/countersign.db >/dev/null
kill -TERM "$serving"
wait "$serving" || die "the control plane did not end in order"
rm -rf "$data"
[ "$(ask_gateway)" = 401 ] || die "the gateway does not go on without a control plane"
install -d -m 0700 -o countersign -g countersign "$data"
as_user countersign restore /backups/countersign.db >/dev/null
serve
[ "$(as_user countersign organization list -q | wc -l)" = 1 ] || die "the organization is not back"

echo "== the gateway drains"
kill -TERM "$gateway"
wait "$gateway" || die "the gateway did not end in order"
printf '\n[limits]\ndrain_delay = 3\n' >>"$settings"
gateway
kill -TERM "$gateway"
until_so "the gateway is not ready any more" says '"ready":false'
[ "$(ask_gateway)" = 401 ] || die "a gateway that drains does not serve on"
wait "$gateway" || die "the gateway did not end in order"
echo "operated as it should be"
