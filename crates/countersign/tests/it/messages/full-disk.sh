exec 2>&1
mount -t tmpfs -o size=1m tmpfs full
countersign organization create --name acme --data-dir full/data > made.json
head -c 2000000 /dev/zero > full/fill 2> /dev/null
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
OPENAI_ADMIN_KEY=sk-admin-x OPENAI_BASE_URL=http://127.0.0.1:9/v1 countersign doctor --data-dir full/data -o table
