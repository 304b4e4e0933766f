//! A shop whose store keeps rows, whose web reads them from wherever the store is, and whose job says which host it is on.

use scs_e2e::project::Project;

/// The project, with an overlay `prod` that says where things run.
pub fn shop() -> Project {
    let project = Project::empty();
    project.write("deployment.yaml", DEPLOYMENT);
    project.write("deployment.prod.yaml", OVERLAY);
    project.write("images/store/image.yaml", STORE);
    project.write("images/store/configure.sh", STORE_CONFIGURE);
    project.write("images/web/image.yaml", WEB);
    project.write("images/web/configure.sh", WEB_CONFIGURE);
    project
}

const DEPLOYMENT: &str = "\
version: 1
service: shop
secrets:
  token: { generate: 24 }
containers:
  store:
    image: { source: { path: images/store } }
    volume: { data: { method: local } }
    secrets: { TOKEN: token }
    stop_grace_period: 1s
  web:
    image: { source: { path: images/web } }
    require: { db: { wait: 60s } }
    stop_grace_period: 1s
";

const OVERLAY: &str = "\
version: 1
containers:
  store: { place: { host: h3 } }
  web: { place: { match: { dc: east } }, replicas: 2 }
";

const STORE: &str = "\
version: 1
about: { title: Store }
engine:
  docker:
    from: scs-test-base:1
    command: [httpd, -f, -p, '5000', -h, /www]
config: { method: shell }
provide:
  db: { port: 5000, health: { tcp: true, interval: 200ms } }
secret:
  TOKEN: { liveupdate: none }
volume:
  data: { path: /data, mode: 0750 }
";

/// A row is acknowledged once it is on the disk.
const STORE_CONFIGURE: &str = "\
#!/bin/sh
set -e
mkdir -p /www/cgi-bin /data
cat > /www/cgi-bin/add <<'END'
#!/bin/sh
echo \"$QUERY_STRING\" >> /data/rows && sync || exit 1
printf 'Content-Type: text/plain\\r\\n\\r\\nkept %s\\n' \"$QUERY_STRING\"
END
cat > /www/cgi-bin/rows <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
cat /data/rows
END
chmod 755 /www/cgi-bin/add /www/cgi-bin/rows
";

const WEB: &str = "\
version: 1
about: { title: Web }
engine:
  docker:
    from: scs-test-base:1
    command: [/bin/start]
config: { method: shell }
provide:
  http: { port: 80, health: { http: /, interval: 200ms } }
require:
  db: { liveupdate: { command: [/bin/told], debounce: 50ms } }
";

/// Where the store is stands in a file, which the live update writes anew.
const WEB_CONFIGURE: &str = "\
#!/bin/sh
set -e
mkdir -p /www/cgi-bin
cat > /bin/start <<'END'
#!/bin/sh
/bin/told
echo \"serving $SCS_ROLE\"
echo fine > /www/index.html
exec httpd -f -p 80 -h /www
END
cat > /bin/told <<'END'
#!/bin/sh
echo \"$SCS_REQUIRE_DB\" > /tmp/db
echo \"$SCS_REQUIRE_DB\" >> /tmp/told
END
cat > /www/cgi-bin/rows <<'END'
#!/bin/sh
IFS=: read -r host port < /tmp/db
answer=$(printf 'GET /cgi-bin/rows HTTP/1.0\\r\\n\\r\\n' | nc -w 5 \"$host\" \"$port\" | tr -d '\\r')
case $answer in *' 200 OK'*) ;; *) printf 'Status: 502 Bad Gateway\\r\\n\\r\\n'; exit 0 ;; esac
rows=$(echo \"$answer\" | sed '1,/^$/d')
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' \"$rows\"
END
chmod 755 /bin/start /bin/told /www/cgi-bin/rows
";
