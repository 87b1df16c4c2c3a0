exec 2>&1
mount -t tmpfs -o size=2m tmpfs full
countersign organization create --name acme --data-dir full/data > made.json
: > serve.log
countersign serve --listen 127.0.0.1:0 --data-dir full/data --log-format json 2> serve.log &
until grep -q listening serve.log; do :; done
address=$(grep -o '127.0.0.1:[0-9]*' serve.log | head -n 1)
export OPENAI_BASE_URL="http://$address/v1" OPENAI_ADMIN_KEY="$(grep -o 'sk-admin-[0-9a-z]\{20,\}' made.json | head -n 1)"
readyz() { curl -s -o /dev/null -w '%{http_code}\n' "http://$address/readyz"; }
head -c 4000000 /dev/zero > full/fill 2> /dev/null
echo '$ countersign project create --name late'
countersign project create --name late
echo '$ curl /readyz'
readyz
echo '$ countersign doctor -o table'
countersign doctor -o table --data-dir data/none
rm full/fill
echo '$ curl /readyz, with some space again'
readyz
kill $!
wait $!
head -c 4000000 /dev/zero > full/fill 2> /dev/null
echo '$ countersign organization list --data-dir full/data'
countersign organization list --data-dir full/data
echo '$ countersign organization create --name other --data-dir full/data'
countersign organization create --name other --data-dir full/data
echo '$ countersign organization create --name other --data-dir data --key-file full/admin.key'
countersign organization create --name other --data-dir data --key-file full/admin.key
echo '$ ls full'
ls full
echo '$ countersign serve --listen 127.0.0.1:0 --data-dir full/data'
countersign serve --listen 127.0.0.1:0 --data-dir full/data
echo '$ countersign doctor --data-dir full/data -o table'
OPENAI_BASE_URL=http://127.0.0.1:9/v1 countersign doctor --data-dir full/data -o table
