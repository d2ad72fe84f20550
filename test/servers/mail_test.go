//go:build servers

package servers

import (
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

func TestDovecot(t *testing.T) {
	h := newHost(t, "imap", "imaps", "pop", "pops")
	h.folder("run", "")
	h.folder("mail", "nobody")
	h.serve("dovecot", "-F", "-c", h.file("dovecot.conf", `base_dir = $dir/run
state_dir = $dir/run
log_path = $dir/dovecot.log
listen = 127.0.0.1, ::1
protocols = imap pop3
ssl = yes
ssl_cert = <$cert
ssl_key = <$key
ssl_dh =
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {
  driver = static
  args = user=probe password=$password
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/mail
}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:$dir/mail
service imap-login {
  inet_listener imap {
    port = ${imap}
  }
  inet_listener imaps {
    port = ${imaps}
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = ${pop}
  }
  inet_listener pop3s {
    port = ${pops}
    ssl = yes
  }
}
service stats {
  client_limit = 100
}
`))
	imap, pop := checker.Spec{Type: checker.IMAP}, checker.Spec{Type: checker.POP}
	login := func(s *checker.Spec) { s.Login, s.PasswordFile = "probe", h.secret() }
	wrong := func(s *checker.Spec) { s.Login, s.PasswordFile = "probe", h.other() }
	start := func(s *checker.Spec) { login(s); s.StartTLS, s.CAFile = true, h.ca }
	secure := func(t checker.Type) func(*checker.Spec) {
		return func(s *checker.Spec) { login(s); s.Type, s.CAFile = t, h.ca }
	}
	named := func(t checker.Type) func(*checker.Spec) {
		return func(s *checker.Spec) { secure(t)(s); s.ServerName = "a.test" }
	}
	h.trials(
		try{name: "imap", port: "imap", spec: imap},
		try{name: "imap login", port: "imap", spec: with(imap, login)},
		try{name: "imap starttls", port: "imap", spec: with(imap, start)},
		try{name: "imaps", port: "imaps", spec: with(imap, secure(checker.IMAPS))},
		try{name: "pop", port: "pop", spec: pop},
		try{name: "pop login", port: "pop", spec: with(pop, login)},
		try{name: "pop starttls", port: "pop", spec: with(pop, start)},
		try{name: "pops", port: "pops", spec: with(pop, secure(checker.POPS))},
		try{name: "imap wrong password", port: "imap", spec: with(imap, wrong), bad: "uthentication"},
		try{name: "imaps wrong name", port: "imaps", spec: with(imap, named(checker.IMAPS)), bad: "certificate is valid for servers.test"},
		try{name: "pop wrong password", port: "pop", spec: with(pop, wrong), bad: "uthentication"},
		try{name: "pops wrong name", port: "pops", spec: with(pop, named(checker.POPS)), bad: "certificate is valid for servers.test"},
		try{name: "pop to imap", port: "imap", spec: pop, bad: "greeting"},
		try{name: "imap to pop", port: "pop", spec: imap, bad: "greeting"},
	)
}

func TestExim(t *testing.T) {
	h := newHost(t, "smtp", "smtps")
	h.folder("spool", "Debian-exim")
	h.folder("log", "Debian-exim")
	h.give(h.key, "Debian-exim")
	h.serve("exim4", "-C", h.file("exim.conf", `primary_hostname = servers.test
daemon_smtp_ports = ${smtp} : ${smtps}
tls_on_connect_ports = ${smtps}
local_interfaces = <; 127.0.0.1 ; ::1
tls_advertise_hosts = *
tls_certificate = $cert
tls_privatekey = $key
spool_directory = $dir/spool
log_file_path = $dir/log/%slog
pid_file_path = $dir/spool/pid
auth_advertise_hosts = *
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = deny
begin authenticators
PLAIN:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = $${if and{{eq{$$auth2}{probe}}{eq{$$auth3}{$password}}}}
  server_set_id = $$auth2
`), "-bdf")
	smtp := checker.Spec{Type: checker.SMTP}
	login := func(s *checker.Spec) { s.Login, s.PasswordFile = "probe", h.secret() }
	h.trials(
		try{name: "smtp", port: "smtp", spec: smtp},
		try{name: "submission", port: "smtp", spec: with(smtp, func(s *checker.Spec) { s.Type = checker.Submission; login(s) })},
		try{name: "starttls", port: "smtp", spec: with(smtp, func(s *checker.Spec) { login(s); s.StartTLS, s.CAFile = true, h.ca })},
		try{name: "smtps", port: "smtps", spec: with(smtp, func(s *checker.Spec) { login(s); s.Type, s.CAFile = checker.SMTPS, h.ca })},
		try{name: "wrong password", port: "smtp", spec: with(smtp, func(s *checker.Spec) { s.Login, s.PasswordFile = "probe", h.other() }), bad: "535"},
		try{name: "unknown authority", port: "smtps", spec: with(smtp, func(s *checker.Spec) { s.Type = checker.SMTPS }), bad: "certificate signed by unknown authority"},
	)
}

func TestJamNNTPd(t *testing.T) {
	h := newHost(t, "news")
	h.serve("jamnntpd", "-p", "${news}", "-noecholog", "-l", "$dir/news.output",
		"-g", h.file("groups", "test A 2:280/1 $dir/test\n"), "-a", h.file("allow", "* \"\" \"\"\n127.0.0.1 A A\n"),
		"-u", h.file("users", "probe $password A A Probe\n"), "-x", h.file("xlat", "read * unknown-8bit\npost * \"\"\n"))
	news := checker.Spec{Type: checker.NNTP}
	login := with(news, func(s *checker.Spec) { s.Login, s.PasswordFile = "probe", h.secret() })
	h.trials( // it knows no IPv6
		try{name: "greeting", port: "news", spec: news, only: "4"},
		try{name: "login", port: "news", spec: login, only: "4"},
		try{name: "wrong password", port: "news", spec: with(login, func(s *checker.Spec) { s.PasswordFile = h.other() }), bad: "48", only: "4"},
	)
}
