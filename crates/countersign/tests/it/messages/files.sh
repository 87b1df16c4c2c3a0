# The wrong files, made of the right ones.
openssl req -new -key leaf.key -out leaf.csr -subj /CN=worker
openssl x509 -in ca.pem -outform der -out ca.der
openssl pkey -in ca.key -outform der -out key.der
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass:x -out leaf.p12
openssl crl2pkcs7 -nocrl -certfile ca.pem -out ca.p7b
openssl crl2pkcs7 -nocrl -certfile ca.pem -outform der -out ca.p7c
openssl pkey -in ca.key -aes256 -passout pass:secret -out encrypted.key
openssl pkey -in ca.key -pubout -out public.pem
: > empty.pem
iconv -t UTF-16 ca.pem > utf16.pem
printf '\xef\xbb\xbf' | cat - ca.pem > bom.pem
printf '# \xe9t\xe9\n' | cat - ca.pem > latin1.pem
tr -d '\n' < ca.pem > one-line.pem
cat ca.pem next.pem | sed -z 's/-----\n-----BEGIN/----------BEGIN/' > glued.pem
head -c 300 ca.pem > truncated.pem
sed 's/^MII/M!I/' ca.pem > damaged.pem
sed 's/-----BEGIN/----BEGIN/' ca.pem > dashes.pem
sed 's/-----/\xe2\x80\x94/g' ca.pem > typographic.pem
grep -v -e ---- ca.pem > headless.pem
sed 's/CERTIFICATE/TRUSTED CERTIFICATE/' ca.pem > trusted.pem
printf -- '-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n' > crl.pem
printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkA\n-----END OPENSSH PRIVATE KEY-----\n' > id_ed25519
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ worker@host' > id_ed25519.pub
printf '\377\376\375\374\001\002\003' > binary.bin
echo '<html><body>Not Found</body></html>' > page.pem
echo '{"certificate": "..."}' > object.json
echo hello > hello.txt
gzip -k -c ca.pem > ca.pem.gz
mkdir directory
cat ca.pem ca.key > with-key.pem
{ cat ca.pem; head -c 20000 /dev/zero | tr '\0' '#'; } | head -c 20000 > long.pem
ln -s nowhere.pem dangling.pem

# Files of keys.
printf 'sk-admin-aaaaaaaaaaaaaaaa' | iconv -t UTF-16 > utf16.key
echo '{"value": "sk-admin-aaaaaaaaaaaaaaaa"}' > object.key
echo 'export OPENAI_ADMIN_KEY=sk-admin-aaaaaaaaaaaaaaaa' > shell.key
: > empty.key
echo sk-gateway-aaaaaaaaaaaaaaaa > gateway.key

# Data directories.
mkdir -p data/{garbage,directory,empty,none}
head -c 4096 /dev/zero | tr '\0' x > data/garbage/countersign.db
mkdir data/directory/countersign.db

# As people paste and save them.
sed 's/^/> /' ca.pem > quoted.pem
printf '[organization]\nenforce = []\n' | iconv -t UTF-16 > utf16.toml
printf '[certificate.mesh]\nfile = "ca.pem"\n' > singular.toml
printf '[certificates.mesh]\nfile = "ca.pem"\npolcy = "true"\n' > policy.toml
printf '[certificates.mesh]\nfile = "ca.pem"\n[organization]\nenforce = "mesh"\n' > no-list.toml
printf '[certificates.mesh]\nfile = "quoted.pem"\n' > quoted.toml
printf '[certificates.mesh]\nfile = "ca.pem"\nreported_policy = "subject.comon_name"\n' > reported.toml
printf '{"certificates": []}\n' > state.json
printf 'certificates:\n  mesh: ca.pem\n' > state.yaml
