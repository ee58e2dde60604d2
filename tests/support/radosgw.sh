#!/bin/bash
# A Ceph of one node with an S3 gateway on 127.0.0.1, for tests: one monitor, one OSD that keeps all in
# memory, radosgw. Packages: packaging/dependencies stores.
#
#   radosgw.sh start DIR PORT     writes DIR/pids; keys in DIR/keys: AWS's credentials file
#   radosgw.sh bucket DIR NAME    makes a bucket
#   radosgw.sh stop DIR
#
# radosgw wants cephx, so one keyring serves all. A second one on a machine needs another port for its
# monitor: PORT + 1.
set -euo pipefail

ports_of() { s3_port=$1; mon_port=$((s3_port + 1)); }

write_config() {
  cat >ceph.conf <<CONFIG
[global]
fsid=$1
mon_host=[v2:127.0.0.1:$mon_port]
keyring=$PWD/keyring
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=4
osd_pool_default_pgp_num=4
osd_pool_default_pg_autoscale_mode=off
mon_max_pg_per_osd=1000
osd_crush_chooseleaf_type=0
mon_allow_pool_size_one=true
mon_warn_on_pool_no_redundancy=false
run_dir=$PWD/run
pid_file=$PWD/run/\$name.pid
admin_socket=$PWD/run/\$name.asok
log_file=$PWD/log/\$name.log
mon_data=$PWD/mon
osd_data=$PWD/osd
osd_objectstore=memstore
memstore_device_bytes=4294967296
public_addr=127.0.0.1
cluster_addr=127.0.0.1
ms_bind_ipv6=false
mon_data_avail_crit=1
[client.rgw]
rgw_data=$PWD/rgw
rgw_frontends=beast tcp_nodelay=1 endpoint=127.0.0.1:$s3_port
rgw_dns_name=s3.localhost
rgw_thread_pool_size=32
rgw_s3_auth_use_sts=false
rgw_crypt_require_ssl=false
rgw_enable_usage_log=false
CONFIG
}

make_keyring() {
  ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  ceph-authtool keyring --gen-key -n client.rgw --cap mon 'allow rwx' --cap osd 'allow rwx'
  ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
}

# await SECONDS COMMAND…
await() {
  local tries=$(($1 * 5))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ $((tries -= 1)) -gt 0 ] || { echo "radosgw.sh: no success: $*" >&2; tail -n 5 log/*.out >&2; exit 1; }
    sleep 0.2
  done
}

start() {
  mkdir -p "$1"/{mon,osd,run,log,rgw}
  cd "$1"
  ports_of "$2"
  local fsid osd
  fsid=$(cat /proc/sys/kernel/random/uuid)
  osd=$(cat /proc/sys/kernel/random/uuid)
  write_config "$fsid"
  export CEPH_CONF=$PWD/ceph.conf CEPH_ARGS="--conf $PWD/ceph.conf"
  monmaptool --create --addv a "[v2:127.0.0.1:$mon_port]" --fsid "$fsid" monmap >log/setup.out 2>&1
  make_keyring >>log/setup.out 2>&1
  ceph-mon --mkfs -i a --monmap monmap --keyring keyring >>log/setup.out 2>&1
  ceph-mon -f -i a >log/mon.out 2>&1 &
  echo $! >pids
  await 60 ceph --connect-timeout 3 -s
  ceph auth import -i keyring >>log/setup.out 2>&1
  ceph osd new "$osd" >>log/setup.out 2>&1
  ceph-osd --mkfs -i 0 --osd-uuid "$osd" >>log/setup.out 2>&1
  ceph osd crush add-bucket h host >>log/setup.out 2>&1
  ceph-osd -f -i 0 >log/osd.out 2>&1 &
  echo $! >>pids
  await 60 sh -c 'ceph osd stat | grep -q "1 up"'
  radosgw -f -n client.rgw >log/rgw.out 2>&1 &
  echo $! >>pids
  await 120 curl -s -o log/answer "http://127.0.0.1:$s3_port/"
  local access secret
  access=$(head -c 10 /dev/urandom | od -An -tx1 | tr -d ' \n')
  secret=$(head -c 20 /dev/urandom | od -An -tx1 | tr -d ' \n')
  radosgw-admin -n client.rgw user create --uid=t --display-name=t --access-key="$access" --secret="$secret" \
    >>log/setup.out 2>&1
  (umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$access" "$secret" >keys)
  echo "http://127.0.0.1:$s3_port" >endpoint
}

bucket() {
  AWS_SHARED_CREDENTIALS_FILE=$1/keys env -u AWS_CA_BUNDLE /usr/bin/python3 - "$(cat "$1/endpoint")" "$2" <<'PYTHON'
import sys
import botocore.config
import botocore.session
client = botocore.session.get_session().create_client(
    "s3", endpoint_url=sys.argv[1], region_name="default",
    config=botocore.config.Config(s3={"addressing_style": "path"}))
client.create_bucket(Bucket=sys.argv[2])
PYTHON
}

stop() {
  [ -f "$1/pids" ] || return 0
  # shellcheck disable=SC2046
  kill $(tac "$1/pids") 2>/dev/null || true
}

command=${1:-}
[ $# -ge 2 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }
shift
case "$command" in
  start | bucket | stop) "$command" "$@" ;;
  *) exit 2 ;;
esac
