//go:build servers

package servers

import (
	"os"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

func TestMariaDB(t *testing.T) {
	h := newHost(t, "sql")
	h.give(h.key, "mysql")
	h.run("mariadb-install-db", "--no-defaults", "--datadir=$dir/data", "--auth-root-authentication-method=normal", "--skip-test-db", "--user=mysql")
	h.serve("mariadbd", "--no-defaults", "--datadir=$dir/data", "--user=mysql", "--port=${sql}", "--bind-address=127.0.0.1,::1",
		"--socket=$dir/data/socket", "--pid-file=$dir/data/pid", "--skip-name-resolve", "--innodb-log-file-size=4M",
		"--innodb-buffer-pool-size=8M", "--plugin-load-add=auth_ed25519",
		"--ssl-ca=$ca", "--ssl-cert=$cert", "--ssl-key=$key", "--max-connect-errors=1000000",
		"--init-file="+h.file("users.sql", `CREATE USER probe@'%' IDENTIFIED BY '$password';
CREATE USER newer@'%' IDENTIFIED VIA ed25519 USING PASSWORD('$password');
CREATE USER open@'%';
CREATE USER full@'%' IDENTIFIED BY '$password' WITH MAX_USER_CONNECTIONS -1;
CREATE DATABASE shop;
CREATE TABLE shop.health (id INT, state VARCHAR(20));
INSERT INTO shop.health VALUES (1, 'starting'), (2, 'ready');
GRANT SELECT ON shop.* TO probe@'%', newer@'%', open@'%';
`))
	login := checker.Spec{Type: checker.MySQL, Login: "probe", PasswordFile: h.secret()}
	query := with(login, func(s *checker.Spec) {
		s.Database, s.Request, s.Receive = "shop", "SELECT id, state FROM health", "^2\tready$"
	})
	h.trials(
		try{name: "greeting", port: "sql", spec: checker.Spec{Type: checker.MySQL}},
		try{name: "login", port: "sql", spec: login},
		try{name: "login by ed25519", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "newer" })},
		try{name: "no password", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login, s.PasswordFile = "open", "" })},
		try{name: "query", port: "sql", spec: query},
		try{name: "starttls", port: "sql", spec: with(query, func(s *checker.Spec) { s.StartTLS, s.CAFile = true, h.ca })},
		try{name: "wrong password", port: "sql", spec: with(login, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "Access denied"},
		try{name: "unknown user", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "nobody" }), bad: "Access denied"},
		try{name: "may not connect", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "full" }), bad: "(1226)"},
		try{name: "unknown database", port: "sql", spec: with(login, func(s *checker.Spec) { s.Database = "none" }), bad: "login refused"},
		try{name: "another answer", port: "sql", spec: with(query, func(s *checker.Spec) { s.Receive = "steady" }), bad: "no row has"},
		try{name: "no row", port: "sql", spec: with(query, func(s *checker.Spec) { s.Request, s.Receive = "SELECT id FROM health WHERE id > 5", "" }), bad: "the query found no row"},
		try{name: "wrong query", port: "sql", spec: with(query, func(s *checker.Spec) { s.Request = "SELEKT" }), bad: "query refused"},
		try{name: "unknown authority", port: "sql", spec: with(login, func(s *checker.Spec) { s.StartTLS = true }), bad: "certificate signed by unknown authority"},
		try{name: "not PostgreSQL", port: "sql", spec: checker.Spec{Type: checker.PgSQL}, bad: "not a PostgreSQL answer"},
	)
}

func TestPostgreSQL(t *testing.T) {
	const owner = "postgres"
	h := newHost(t, "sql")
	h.give(h.key, owner)
	must(t, os.Chmod(h.key, 0o600))
	h.folder("data", owner)
	h.folder("run", owner)
	h.runAs(owner, "initdb", "-D", "$dir/data", "-U", "admin", "--no-sync", "--no-locale", "-E", "UTF8")
	h.give(h.file("data/pg_hba.conf", `host all modern,closed all scram-sha-256
host all older all md5
host all plain all password
host all open all trust
`), owner)
	cmd := h.command(owner, "postgres", "--single", "-j", "-D", "$dir/data", "postgres")
	cmd.Stdin = h.input(`CREATE ROLE modern LOGIN PASSWORD '$password';

CREATE ROLE plain LOGIN PASSWORD '$password';

CREATE ROLE closed NOLOGIN PASSWORD '$password';

CREATE ROLE open LOGIN;

SET password_encryption = 'md5'; CREATE ROLE older LOGIN PASSWORD '$password';

CREATE TABLE health (id int, state text); INSERT INTO health VALUES (1, 'starting'), (2, NULL), (3, 'ready'); GRANT SELECT ON health TO public;

`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.serveAs(owner, "postgres", "-D", "$dir/data", "-p", "${sql}", "-c", "listen_addresses=127.0.0.1,::1", "-k", "$dir/run",
		"-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file=$cert", "-c", "ssl_key_file=$key")
	login := checker.Spec{Type: checker.PgSQL, Login: "modern", PasswordFile: h.secret(), Database: "postgres"}
	query := with(login, func(s *checker.Spec) { s.Request, s.Receive = "SELECT id, state FROM health", "^3\tready$" })
	h.trials(
		try{name: "ready", port: "sql", spec: checker.Spec{Type: checker.PgSQL}},
		try{name: "ready in TLS", port: "sql", spec: checker.Spec{Type: checker.PgSQL, StartTLS: true, CAFile: h.ca}},
		try{name: "SCRAM", port: "sql", spec: login},
		try{name: "MD5", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "older" })},
		try{name: "plain", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "plain" })},
		try{name: "trusted", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login, s.PasswordFile = "open", "" })},
		try{name: "query", port: "sql", spec: query},
		try{name: "starttls", port: "sql", spec: with(query, func(s *checker.Spec) { s.StartTLS, s.CAFile = true, h.ca })},
		try{name: "wrong password", port: "sql", spec: with(login, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "(28P01)"},
		try{name: "may not log in", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "closed" }), bad: "(28000)"},
		try{name: "unknown user", port: "sql", spec: with(login, func(s *checker.Spec) { s.Login = "nobody" }), bad: "(28000)"},
		try{name: "unknown database", port: "sql", spec: with(login, func(s *checker.Spec) { s.Database = "none" }), bad: "(3D000)"},
		try{name: "another answer", port: "sql", spec: with(query, func(s *checker.Spec) { s.Receive = "steady" }), bad: "no row has"},
		try{name: "no row", port: "sql", spec: with(query, func(s *checker.Spec) { s.Request, s.Receive = "SELECT 1 WHERE false", "" }), bad: "the query found no row"},
		try{name: "wrong query", port: "sql", spec: with(query, func(s *checker.Spec) { s.Request = "SELEKT" }), bad: "query refused"},
		try{name: "wrong name", port: "sql", spec: with(query, func(s *checker.Spec) { s.StartTLS, s.CAFile, s.ServerName = true, h.ca, "a.test" }), bad: "certificate is valid for servers.test"},
		try{name: "not MySQL", port: "sql", spec: checker.Spec{Type: checker.MySQL, Timeout: stalled}, bad: "timeout after 500ms while waiting for the greeting"},
	)
}

func TestRedis(t *testing.T) {
	h := newHost(t, "redis", "secure")
	h.serve("redis-server", h.file("redis.conf", `bind 127.0.0.1 ::1
port ${redis}
tls-port ${secure}
tls-cert-file $cert
tls-key-file $key
tls-ca-cert-file $ca
tls-auth-clients no
daemonize no
dir $dir
save ""
user default off
user probe on >$password +ping +info
`))
	ping := checker.Spec{Type: checker.Redis, Login: "probe", PasswordFile: h.secret()}
	h.trials(
		try{name: "ping", port: "redis", spec: ping},
		try{name: "tls", port: "secure", spec: with(ping, func(s *checker.Spec) { s.TLS, s.CAFile = true, h.ca })},
		try{name: "no login", port: "redis", spec: checker.Spec{Type: checker.Redis}, bad: "NOAUTH"},
		try{name: "wrong password", port: "redis", spec: with(ping, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "WRONGPASS"},
		try{name: "unknown authority", port: "secure", spec: with(ping, func(s *checker.Spec) { s.TLS = true }), bad: "certificate signed by unknown authority"},
	)
}

func TestMemcached(t *testing.T) {
	h := newHost(t, "cache")
	h.serve("memcached", "-u", "nobody", "-l", "127.0.0.1,::1", "-p", "${cache}", "-U", "${cache}", "-m", "8")
	datagram := checker.Spec{Type: checker.UDP, Send: "hex:0007 0000 0001 0000 76657273696f6e 0d0a", Expect: "VERSION 1"}
	text := checker.Spec{Type: checker.SimpleTCP, Send: "version\r\n", Expect: `^VERSION \d+`}
	h.trials(
		try{name: "datagram", port: "cache", spec: datagram},
		try{name: "another datagram", port: "cache", spec: with(datagram, func(s *checker.Spec) { s.Expect = "VERSION 9" }), bad: "the answer lacks"},
		try{name: "text", port: "cache", spec: text},
		try{name: "another text", port: "cache", spec: with(text, func(s *checker.Spec) { s.Expect, s.Timeout = "^VERSION 9", stalled }), bad: "VERSION 9"},
		try{name: "version", port: "cache", spec: checker.Spec{Type: checker.Memcached}},
		try{name: "not redis", port: "cache", spec: checker.Spec{Type: checker.Redis}, bad: "ERROR"},
	)
}
