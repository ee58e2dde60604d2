#!/bin/bash
# Web servers with WebDAV on 127.0.0.1, for tests. Packages: packaging/dependencies stores.
#
#   webdav_server.sh apache DIR PORT TLS_PORT   /open, /basic and /digest, all of which are the same tree
#   webdav_server.sh nginx DIR PORT TLS_PORT    /dav (Basic), which ignores If-None-Match; /public: the same tree,
#                                               read and listed by everybody; /plain: read, not listed
#   webdav_server.sh stop DIR
#
# User ann, password sesame, which is in DIR/password too. The certificate is DIR/cert.pem. The tree is DIR/tree.
set -euo pipefail
kind=$1 dir=$2

stop() {
  local pid
  [ -f "$dir/pid" ] || return 0
  pid=$(cat "$dir/pid")
  kill "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
if [ "$kind" = stop ]; then stop; exit; fi
port=$3 tls_port=$4

mkdir -p "$dir"/{tree,tmp,logs,locks}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
(umask 077 && echo sesame >"$dir/password")
printf 'ann:%s\n' "$(openssl passwd -apr1 sesame)" >"$dir/basic"
printf 'ann:dav:%s\n' "$(printf ann:dav:sesame | md5sum | cut -d' ' -f1)" >"$dir/digest"

# As root a server changes to another user, who needs the tree.
as_root=$([ "$(id -u)" -eq 0 ] && echo yes || echo)
[ -z "$as_root" ] || chown -R www-data "$dir"/{tree,tmp,locks}

apache() {
  local module modules=/usr/lib/apache2/modules
  {
    for module in mpm_event authn_core authn_file authz_core authz_user auth_basic auth_digest alias dav dav_fs dav_lock \
      mime socache_shmcb ssl; do
      [ ! -f "$modules/mod_$module.so" ] || echo "LoadModule ${module}_module $modules/mod_$module.so"
    done
    [ -z "$as_root" ] || printf 'User www-data\nGroup www-data\n'
    cat <<CONFIG
ServerName localhost
TypesConfig /etc/mime.types
PidFile $dir/pid
Listen 127.0.0.1:$port
Listen 127.0.0.1:$tls_port
ErrorLog $dir/logs/error
DavLockDB $dir/locks/db
DefaultRuntimeDir $dir
Mutex file:$dir
DocumentRoot $dir/tree
KeepAlive On
MaxKeepAliveRequests 0
<Directory $dir/tree>
Require all granted
</Directory>
CONFIG
    for auth in open basic digest; do
      echo "Alias /$auth $dir/tree"
      echo "<Location /$auth>"
      echo "Dav On"
      case $auth in
        open) echo "Require all granted" ;;
        basic) printf 'AuthType Basic\nAuthName dav\nAuthUserFile %s/basic\nRequire valid-user\n' "$dir" ;;
        digest) printf 'AuthType Digest\nAuthName dav\nAuthUserFile %s/digest\nRequire valid-user\n' "$dir" ;;
      esac
      echo "</Location>"
    done
    cat <<CONFIG
<VirtualHost *:$tls_port>
SSLEngine on
SSLCertificateFile $dir/cert.pem
SSLCertificateKeyFile $dir/key.pem
</VirtualHost>
CONFIG
  } >"$dir/httpd.conf"
  apache2 -f "$dir/httpd.conf" -k start
}

nginx_() {
  cat >"$dir/nginx.conf" <<CONFIG
$(cat /etc/nginx/modules-enabled/*dav*.conf 2>/dev/null)
${as_root:+user www-data;}
worker_processes 2;
pid $dir/pid;
error_log $dir/logs/error;
events { worker_connections 512; }
http {
  access_log off;
  default_type application/octet-stream;
  client_max_body_size 0;
  keepalive_requests 100000;
  client_body_temp_path $dir/tmp/b;
  proxy_temp_path $dir/tmp/p;
  fastcgi_temp_path $dir/tmp/f;
  uwsgi_temp_path $dir/tmp/u;
  scgi_temp_path $dir/tmp/s;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls_port ssl;
    ssl_certificate $dir/cert.pem;
    ssl_certificate_key $dir/key.pem;
    location /dav/ {
      alias $dir/tree/;
      auth_basic dav;
      auth_basic_user_file $dir/basic;
      dav_methods PUT DELETE MKCOL;
      dav_ext_methods PROPFIND;
      dav_access user:rw;
    }
    location /public/ {
      alias $dir/tree/;
      dav_ext_methods PROPFIND;
    }
    location /plain/ { alias $dir/tree/; }
  }
}
CONFIG
  nginx -c "$dir/nginx.conf" -e "$dir/logs/error"
}

case $kind in
  apache) apache ;;
  nginx) nginx_ ;;
  *) echo "webdav_server.sh: no such server: $kind" >&2; exit 2 ;;
esac
for _ in $(seq 200); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then exit 0; fi
  sleep 0.05
done
echo "webdav_server.sh: $kind does not listen: $(tail -3 "$dir/logs/error")" >&2
exit 1
