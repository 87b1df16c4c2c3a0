#!/bin/sh
# Makes what the demonstration needs, once: certificates for the servers, a CA with a client's certificate, an
# organization with its admin key, and the gateway's key.
set -eu
umask 077
cd "${DEMO_DIRECTORY:-/demo}"
if [ -e complete ]; then
    exit 0
fi
# What an attempt before this one left.
rm -f ./*.key ./*.pem

cat > openssl.cnf <<CONFIGURATION
[req]
distinguished_name = name
prompt = no
[name]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
authorityKeyIdentifier = keyid
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:control-plane, DNS:gateway, DNS:localhost, IP:127.0.0.1
[client]
authorityKeyIdentifier = keyid
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
CONFIGURATION

# issue NAME EXTENSIONS SUBJECT [CA]
issue() {
    file=$1 extensions=$2 subject=$3
    set -- ${4:+-CA "$4.pem" -CAkey "$4.key"}
    openssl req -x509 -config openssl.cnf -extensions "$extensions" -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -noenc -days 365 -subj "$subject" -keyout "$file.key" -out "$file.pem" "$@" 2>openssl.log || {
        cat openssl.log >&2
        exit 1
    }
}
issue ca ca "/CN=Countersign demonstration"
issue server server "/CN=control-plane" ca
issue client-ca ca "/CN=Clients of the demonstration"
issue client client "/CN=caller" client-ca

countersign organization create --name demo --key-file admin.key
countersign gateway-key create --name edge --key-file gateway.key
rm -f openssl.cnf openssl.log
# As whom the image runs.
if [ "$(id -u)" = 0 ]; then
    chown -R 65532:65532 .
fi
touch complete
