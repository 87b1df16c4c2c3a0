#!/bin/sh
# Makes the files beside it with the openssl command (3.0): a root, an intermediate, a revoked and a good
# client certificate of each, and their revocation lists in the forms that OpenSSL, step-ca and Vault
# write. They are committed, so that the tests need no openssl; the keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
days=36500

cat >ca.cnf <<CNF
[ca]
default_ca = \$ENV::CA
[root]
database = root.txt
new_certs_dir = .
certificate = root.pem
private_key = root.key
crlnumber = root.number
default_md = sha256
policy = any
rand_serial = yes
default_crl_days = 36500
crl_extensions = \$ENV::LIST
[issuing]
database = issuing.txt
new_certs_dir = .
certificate = issuing.pem
private_key = issuing.key
crlnumber = issuing.number
default_md = sha256
policy = any
rand_serial = yes
default_crl_days = 36500
crl_extensions = \$ENV::LIST
[any]
organizationName = optional
commonName = supplied
[intermediate]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[plain]
authorityKeyIdentifier = keyid
[with_names]
authorityKeyIdentifier = keyid, issuer
# step-ca (authority/provisioner, since 0.24): a critical issuing distribution point with its URL.
[step]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @step_point
[step_point]
fullname = URI:http://ca.example.com/1.0/crl
[users]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @users_point
[users_point]
onlyuser = TRUE
[reasons]
issuingDistributionPoint = critical, @reasons_point
[reasons_point]
onlysomereasons = keyCompromise
[indirect]
issuingDistributionPoint = critical, @indirect_point
[indirect_point]
indirectCRL = TRUE
[delta]
2.5.29.27 = critical, ASN1:INTEGER:1
CNF
export LIST=plain
for ca in root issuing; do : >$ca.txt; echo 1000 >$ca.number; done

key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $key -days $days -subj "/O=Example/CN=Root" -keyout root.key -out root.pem \
    -addext "keyUsage=critical,keyCertSign,cRLSign"
# sign CA NAME EXTENSIONS: a certificate by one of the two.
sign() {
    openssl req -new $key -subj "/O=Example/CN=$2" -keyout "$2.key" -out "$2.csr"
    CA=$1 openssl ca -batch -notext -config ca.cnf -extensions "$3" -days $days -in "$2.csr" -out "$2.pem"
}
sign root issuing intermediate
sign root root-revoked client
sign root root-good client
sign issuing issuing-revoked client
sign issuing issuing-good client
revoke() { CA=$1 openssl ca -config ca.cnf -revoke "$2.pem" -crl_reason "$3"; }
# list CA EXTENSIONS FILE [OPTION...]: what that CA revoked.
list() {
    ca=$1; extensions=$2; file=$3; shift 3
    CA=$ca LIST=$extensions openssl ca -config ca.cnf -gencrl -out "$out/$file.crl.pem" "$@"
}
list root plain root-empty
revoke root root-revoked keyCompromise
revoke issuing issuing-revoked superseded
list root plain root
list root with_names root-aki-with-names
list root step root-step-ca
list root users root-users
list root reasons root-reasons
list root indirect root-indirect
list root delta root-delta
list issuing plain issuing
openssl crl -in "$out/root.crl.pem" -outform DER -out "$out/root.crl.der"
# No number and no extension: version 1.
sed -e '/^crlnumber/d' -e '/^crl_extensions/d' ca.cnf >v1.cnf
CA=root openssl ca -config v1.cnf -gencrl -out "$out/root-version-1.crl.pem"
# Without the file of numbers: version 2 without a number.
sed '/^crlnumber/d' ca.cnf >unnumbered.cnf
CA=root openssl ca -config unnumbered.cnf -gencrl -out "$out/root-unnumbered.crl.pem"
revoke root issuing cACompromise
list root plain root-revokes-issuing
cp root.pem issuing.pem root-revoked.pem root-good.pem issuing-revoked.pem issuing-good.pem "$out"
