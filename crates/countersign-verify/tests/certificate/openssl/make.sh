#!/bin/sh
# Makes the PEM files beside it with the openssl command (3.0). They are committed, so that the
# tests need no openssl; the keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
days="-days 36500"
p256="-newkey ec -pkeyopt ec_paramgen_curve:P-256"

# root NAME [OPTION...]: a self-signed certificate, a CA by openssl's defaults.
root() {
    name=$1; shift
    openssl req -x509 -nodes $days -subj "/O=Example/CN=$name" -keyout "$name.key" -out "$out/$name.pem" "$@"
}
# of_key NAME KEY [OPTION...]: the same of a key that is there.
of_key() {
    name=$1; key=$2; shift 2
    openssl req -x509 $days -subj "/O=Example/CN=$name" -key "$key" -out "$out/$name.pem" "$@"
}

root root $p256
root root-rsa -newkey rsa:2048
openssl genpkey -algorithm ed25519 -out ed25519.key
of_key root-ed25519 ed25519.key
openssl genpkey -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048 -out pss.key
of_key root-key-for-pss-only pss.key
of_key root-signed-with-pss root-rsa.key -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
of_key root-signed-with-sha1 root-rsa.key -sha1
root root-rsa-1024 -newkey rsa:1024
for curve in secp224r1 secp256k1 brainpoolP256r1; do
    root "root-$curve" -newkey ec -pkeyopt "ec_paramgen_curve:$curve"
done
openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit.key
of_key root-explicit-curve explicit.key
openssl ecparam -name prime256v1 -genkey -noout | openssl ec -conv_form compressed -out compressed.key
of_key root-compressed-point compressed.key
openssl genpkey -algorithm ed448 -out ed448.key
of_key root-ed448 ed448.key
openssl genpkey -genparam -algorithm dsa -pkeyopt dsa_paramgen_bits:2048 -out dsa.params
openssl genpkey -paramfile dsa.params -out dsa.key
of_key root-dsa dsa.key
root root-no-keycertsign $p256 -addext keyUsage=critical,cRLSign
root root-for-servers $p256 -addext extendedKeyUsage=serverAuth
root root-policies $p256 -addext certificatePolicies=critical,1.2.3.4
root root-constrained $p256 -addext "nameConstraints=critical,permitted;DNS:example.com,excluded;IP:10.0.0.0/255.0.0.0"
root self-signed-leaf $p256 -addext basicConstraints=critical,CA:FALSE

openssl req -new -nodes $p256 -subj /CN=billing -keyout leaf.key -out "$out/request.pem"
openssl x509 -req $days -in "$out/request.pem" -CA "$out/root.pem" -CAkey root.key -out "$out/leaf-version-1.pem"
printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n' > leaf.ext
openssl x509 -req $days -in "$out/request.pem" -CA "$out/root.pem" -CAkey root.key -extfile leaf.ext -out "$out/leaf.pem"
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n' > intermediate.ext
openssl x509 -req $days -in "$out/request.pem" -CA "$out/root.pem" -CAkey root.key -extfile intermediate.ext -out "$out/intermediate.pem"

openssl x509 -in "$out/root.pem" -text > "$out/root-as-text.pem"
openssl x509 -in "$out/root.pem" -trustout -addtrust clientAuth -out "$out/trusted.pem"
openssl x509 -in "$out/root.pem" -pubkey -noout > "$out/public-key.pem"
openssl crl2pkcs7 -nocrl -certfile "$out/root.pem" -out "$out/pkcs7.pem"
touch index.txt
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=36500\n' > ca.cnf
openssl ca -config ca.cnf -gencrl -keyfile root.key -cert "$out/root.pem" -out "$out/revocations.pem"
