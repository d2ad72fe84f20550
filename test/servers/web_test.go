//go:build servers

package servers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/checker"
)

func TestNginx(t *testing.T) {
	h := newHost(t, "http", "https")
	h.file("www/index.html", "<html><body>Test Page</body></html>\n")
	h.serve("nginx", "-e", "$dir/nginx.log", "-c", h.file("nginx.conf", `daemon off;
user root;
worker_processes 1;
pid $dir/nginx.pid;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path $dir/temp;
  proxy_temp_path $dir/temp;
  fastcgi_temp_path $dir/temp;
  uwsgi_temp_path $dir/temp;
  scgi_temp_path $dir/temp;
  server {
    listen 127.0.0.1:${http};
    listen [::1]:${http};
    listen 127.0.0.1:${https} ssl;
    listen [::1]:${https} ssl;
    ssl_certificate $cert;
    ssl_certificate_key $key;
    root $dir/www;
    location /busy { return 503; }
  }
}
`))
	page := checker.Spec{Type: checker.HTTP, Request: "/", Receive: "Test Page"}
	secure := with(page, func(s *checker.Spec) { s.Type, s.CAFile = checker.HTTPS, h.ca })
	h.trials(
		try{name: "http", port: "http", spec: page},
		try{name: "https", port: "https", spec: secure},
		try{name: "tls", port: "https", spec: checker.Spec{Type: checker.TLS, CAFile: h.ca}},
		try{name: "other content", port: "http", spec: with(page, func(s *checker.Spec) { s.Receive = "Best Page" }), bad: "body lacks"},
		try{name: "status", port: "http", spec: with(page, func(s *checker.Spec) { s.Request = "/busy" }), bad: "status 503"},
		try{name: "wrong name", port: "https", spec: with(secure, func(s *checker.Spec) { s.ServerName = "a.test" }), bad: "certificate is valid for servers.test"},
		try{name: "soon expired", port: "https", spec: checker.Spec{Type: checker.TLS, CAFile: h.ca, MinDays: 7}, bad: "certificate"},
		try{name: "not gRPC", port: "http", spec: checker.Spec{Type: checker.GRPC}, bad: "the server speaks HTTP/1.1"},
	)
}

func TestSquid(t *testing.T) {
	h := newHost(t, "proxy")
	h.folder("run", "proxy")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Test Page") }))
	t.Cleanup(web.Close)
	h.serve("squid", "-N", "-n", "ipvsd"+strings.TrimLeft(h.fill("${proxy}"), "0"), "-f", h.file("squid.conf", `http_port 127.0.0.1:${proxy}
http_port [::1]:${proxy}
http_access allow localhost
http_access deny all
cache deny all
access_log none
cache_log $dir/run/cache.log
cache_store_log none
pid_filename none
coredump_dir $dir/run
visible_hostname servers.test
icp_port 0
shutdown_lifetime 0 seconds
pinger_enable off
netdb_filename none
`))
	page := checker.Spec{Type: checker.HTTPProxy, Request: web.URL + "/", Receive: "Test Page"}
	h.trials(
		try{name: "page", port: "proxy", spec: page},
		try{name: "other content", port: "proxy", spec: with(page, func(s *checker.Spec) { s.Receive = "Best Page" }), bad: "body lacks"},
		try{name: "nobody behind it", port: "proxy", spec: with(page, func(s *checker.Spec) { s.Request = "http://127.0.0.1:1/" }), bad: "status 50"},
	)
}

func TestVsftpd(t *testing.T) {
	h := newHost(t, "ftp")
	h.folder("empty", "")
	h.file("ftp/health.txt", "Test Page\n")
	h.serve("vsftpd", h.file("vsftpd.conf", `background=NO
listen=NO
listen_ipv6=YES
listen_port=${ftp}
anonymous_enable=YES
anon_root=$dir/ftp
no_anon_password=NO
local_enable=NO
secure_chroot_dir=$dir/empty
nopriv_user=nobody
seccomp_sandbox=NO
xferlog_enable=NO
ssl_enable=YES
allow_anon_ssl=YES
force_local_data_ssl=NO
force_local_logins_ssl=NO
rsa_cert_file=$cert
rsa_private_key_file=$key
require_ssl_reuse=NO
`))
	ftp := checker.Spec{Type: checker.FTP}
	file := with(ftp, func(s *checker.Spec) { s.Request, s.Receive = "health.txt", "^Test Page" })
	h.trials(
		try{name: "login", port: "ftp", spec: ftp},
		try{name: "file", port: "ftp", spec: file},
		try{name: "starttls", port: "ftp", spec: with(file, func(s *checker.Spec) { s.StartTLS, s.CAFile = true, h.ca })},
		try{name: "unknown user", port: "ftp", spec: with(ftp, func(s *checker.Spec) { s.Login, s.PasswordFile = "nobody", h.secret() }), bad: "530"},
		try{name: "no such file", port: "ftp", spec: with(file, func(s *checker.Spec) { s.Request = "other.txt" }), bad: "550"},
		try{name: "other content", port: "ftp", spec: with(file, func(s *checker.Spec) { s.Receive = "Best" }), bad: "lacks"},
		try{name: "wrong name", port: "ftp", spec: with(ftp, func(s *checker.Spec) { s.StartTLS, s.CAFile, s.ServerName = true, h.ca, "a.test" }), bad: "certificate is valid for servers.test"},
	)
}

func TestKamailio(t *testing.T) {
	h := newHost(t, "sip")
	h.folder("run", "")
	h.serve("kamailio", "-DD", "-E", "-Y", "$dir/run", "-m", "16", "-M", "4", "-f", h.file("kamailio.cfg", `#!KAMAILIO
debug=0
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:${sip}
listen=tcp:127.0.0.1:${sip}
listen=udp:[::1]:${sip}
listen=tcp:[::1]:${sip}
loadmodule "sl.so"
request_route {
  if (method == "OPTIONS" && !(uri =~ "sip:nobody@.*")) {
    sl_send_reply("200", "OK");
    exit;
  }
  sl_send_reply("404", "Not Found");
}
`))
	udp := checker.Spec{Type: checker.SIP, Protocol: "udp"}
	tcp := with(udp, func(s *checker.Spec) { s.Protocol = "tcp" })
	h.trials(
		try{name: "udp", port: "sip", spec: udp},
		try{name: "tcp", port: "sip", spec: tcp},
		try{name: "as a user", port: "sip", spec: with(udp, func(s *checker.Spec) { s.Login = "probe@servers.test" })},
		try{name: "has", port: "sip", spec: with(tcp, func(s *checker.Spec) { s.Receive = "(?m)^Server: kamailio" })},
		try{name: "lacks", port: "sip", spec: with(udp, func(s *checker.Spec) { s.Receive = "asterisk" }), bad: "but it lacks"},
		try{name: "unknown user", port: "sip", spec: with(udp, func(s *checker.Spec) { s.Request = "sip:nobody@servers.test" }), bad: "SIP status 404"},
		try{name: "unknown user over tcp", port: "sip", spec: with(tcp, func(s *checker.Spec) { s.Request = "sip:nobody@servers.test" }), bad: "SIP status 404"},
	)
}
