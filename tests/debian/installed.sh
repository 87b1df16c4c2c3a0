#!/bin/sh
# Installs the package, upgrades, removes and purges it, as root of a Debian system without systemd:
# installed.sh PACKAGE. Ends with an error at the first thing that is not as docs/install.md says.
set -eu
export DEBIAN_FRONTEND=noninteractive
package=$1
conffile=/etc/countersign/countersign.toml
data=/var/lib/countersign

die() {
    echo "error: $*" >&2
    exit 1
}
# has PATH MODE OWNER:GROUP
has() {
    found=$(stat --format='%a %U:%G' "$1") || die "there is no $1"
    [ "$found" = "$2 $3" ] || die "$1 is $found, not $2 $3"
}

dpkg --install "$package"
getent passwd countersign | grep -q ":$data:.*nologin$" || die "the user is not as it should be"
has "$data" 700 countersign:countersign
has /var/log/countersign 750 countersign:countersign
has /etc/countersign/gateways 750 root:countersign
has "$conffile" 640 root:countersign
has /usr/bin/countersign 755 root:root
for file in \
    share/man/man1/countersign.1.gz share/man/man1/countersign-serve.1.gz share/man/man1/countersign-gateway.1.gz \
    share/bash-completion/completions/countersign share/zsh/vendor-completions/_countersign \
    share/fish/vendor_completions.d/countersign.fish lib/systemd/system/countersign.service \
    lib/systemd/system/countersign-gateway@.service lib/systemd/system/countersign-gateway@.socket \
    share/doc/countersign/install.md share/doc/countersign/examples/gateway.toml \
    share/doc/countersign/copyright; do
    [ -s "/usr/$file" ] || die "there is no /usr/$file"
done
[ -s /etc/logrotate.d/countersign ] || die "logs are not rotated"

# As docs/install.md says.
runuser -u countersign -- countersign organization create --name acme -o table >/dev/null
has "$data/countersign.db" 600 countersign:countersign
[ "$(runuser -u countersign -- countersign organization list -q | wc -l)" = 1 ] || die "the organization is not there"

# An upgrade that changes the configuration file, and one that does not, leave what an administrator wrote.
echo "# ours" >>"$conffile"
chmod 600 "$data"
built=$(mktemp -d)
dpkg-deb --raw-extract "$package" "$built"
sed -i 's/^Version: .*/&+next/' "$built/DEBIAN/control"
echo "# theirs" >>"$built$conffile"
dpkg-deb --build "$built" /tmp/next.deb >/dev/null
dpkg --force-confold --install /tmp/next.deb
grep -q "^# ours" "$conffile" || die "an upgrade lost what was configured"
grep -q "^# theirs" "$conffile" && die "an upgrade changed what was configured"
has "$conffile" 640 root:countersign
has "$data" 600 countersign:countersign
chmod 700 "$data"

# Nor does it give back what an administrator took away, or fail for it.
chgrp root "$conffile"
dpkg --force-confold --install /tmp/next.deb
has "$conffile" 640 root:root
mv "$conffile" /tmp/ours.toml
dpkg --force-confold --install /tmp/next.deb
[ ! -e "$conffile" ] || die "an upgrade brought back a configuration that was deleted"
cp /tmp/ours.toml "$conffile"
chgrp countersign "$conffile"
chmod 640 "$conffile"
[ "$(runuser -u countersign -- countersign organization list -q | wc -l)" = 1 ] || die "an upgrade lost the database"

dpkg --remove countersign
[ ! -e /usr/bin/countersign ] || die "the program is still there"
[ -e "$conffile" ] || die "removing the package removed its configuration"
[ -e "$data/countersign.db" ] || die "removing the package removed the database"
echo "line" >/var/log/countersign/edge.log
# As `systemctl enable` makes it.
enabled=/etc/systemd/system/multi-user.target.wants/countersign-gateway@edge.service
mkdir -p "${enabled%/*}"
ln -s /lib/systemd/system/countersign-gateway@.service "$enabled"
dpkg --purge countersign
[ ! -L "$enabled" ] || die "a purge left a gateway enabled"
[ ! -e "$conffile" ] || die "a purge left the configuration"
[ ! -e /etc/logrotate.d/countersign ] || die "a purge left the rotation of logs"
[ ! -e /var/log/countersign ] || die "a purge left the logs"
[ -e "$data/countersign.db" ] || die "a purge removed the database"

# A copy of it, and a database that nobody wants any more.
dpkg --install "$package"
rm "$data"/countersign.db*
touch "$data/copy.db"
dpkg --purge countersign
[ -e "$data/copy.db" ] || die "a purge removed a copy of the database"
dpkg --install "$package"
rm "$data/copy.db"
dpkg --purge countersign
[ ! -e "$data" ] || die "a purge left a directory without a database"
echo "installed, upgraded, removed and purged as it should be"
