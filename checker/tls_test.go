package checker

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// file writes the authority's certificate.
func (a *authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	a.write(t, path)
	return path
}

func (a *authority) write(t *testing.T, path string) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sign makes a certificate; a nil authority signs with the key itself.
func (a *authority) sign(t *testing.T, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "web"}, DNSNames: names,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secureServer serves "Test Page" and tells the SNI of each handshake.
func secureServer(t *testing.T, cert tls.Certificate, maxVersion uint16) (netip.AddrPort, chan string) {
	t.Helper()
	names := make(chan string, 20)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Test Page") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: maxVersion,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- hello.ServerName
			return nil, nil
		},
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return netip.MustParseAddrPort(srv.Listener.Addr().String()), names
}

func TestHTTPS(t *testing.T) {
	ca := newAuthority(t)
	caFile, soon := ca.file(t), time.Now().Add(time.Hour)
	expired := time.Now().Add(-time.Minute)
	for _, tt := range []struct {
		name   string
		cert   tls.Certificate
		max    uint16
		spec   Spec
		ok     bool
		reason string
		sni    string
	}{
		{name: "good, by address", cert: ca.sign(t, soon), spec: Spec{CAFile: caFile}, ok: true, reason: `status 200, body has "Test Page"`},
		{name: "good, by virtual host", cert: ca.sign(t, soon, "a.example"), spec: Spec{CAFile: caFile, VirtualHost: "a.example:8443"}, ok: true, reason: `status 200, body has "Test Page"`, sni: "a.example"},
		{name: "server name wins", cert: ca.sign(t, soon, "b.example"), spec: Spec{CAFile: caFile, VirtualHost: "a.example", ServerName: "b.example"}, ok: true, reason: `status 200, body has "Test Page"`, sni: "b.example"},
		{name: "wrong name", cert: ca.sign(t, soon, "a.example", "b.example"), spec: Spec{CAFile: caFile, VirtualHost: "c.example"}, reason: "certificate is valid for a.example, b.example, not c.example", sni: "c.example"},
		{name: "no address in it", cert: ca.sign(t, soon, "a.example"), spec: Spec{CAFile: caFile}, reason: "certificate is valid for a.example, not 127.0.0.1"},
		{name: "expired", cert: ca.sign(t, expired), spec: Spec{CAFile: caFile}, reason: "certificate expired on " + expired.UTC().Format(time.DateTime) + " UTC"},
		{name: "unknown authority", cert: ca.sign(t, soon), reason: "certificate signed by unknown authority"},
		{name: "self-signed", cert: (*authority)(nil).sign(t, soon), reason: "certificate is self-signed"},
		{name: "not verified", cert: (*authority)(nil).sign(t, expired, "x"), spec: Spec{Insecure: true}, ok: true, reason: `status 200, body has "Test Page"`},
		{name: "too old", cert: ca.sign(t, soon), max: tls.VersionTLS12, spec: Spec{CAFile: caFile, MinTLS: tls.VersionTLS13}, reason: "server refuses the TLS handshake: protocol version not supported"},
		{name: "old, allowed", cert: ca.sign(t, soon), max: tls.VersionTLS11, spec: Spec{CAFile: caFile, MinTLS: tls.VersionTLS10}, ok: true, reason: `status 200, body has "Test Page"`},
		{name: "follow", cert: ca.sign(t, soon, "a.example"), spec: Spec{CAFile: caFile, VirtualHost: "a.example", Follow: true}, ok: true, reason: `status 200, body has "Test Page"`, sni: "a.example"},
		{name: "follow, wrong name", cert: ca.sign(t, soon, "a.example"), spec: Spec{CAFile: caFile, VirtualHost: "c.example", Follow: true}, reason: "certificate is valid for a.example, not c.example", sni: "c.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := tt.spec
			var names chan string
			spec.Target, names = secureServer(t, tt.cert, tt.max)
			spec.Type, spec.Receive = HTTPS, "Test Page"
			inBothWays(t, spec, func(t *testing.T, r Result) {
				if r.OK != tt.ok || r.Void || r.Reason != tt.reason {
					t.Errorf("got %+v, want %t %q", r, tt.ok, tt.reason)
				}
				if sni := <-names; sni != tt.sni {
					t.Errorf("SNI %q, want %q", sni, tt.sni)
				}
			})
		})
	}
}

func TestHTTPSOverSomethingElse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn)
		reason string
	}{
		{"plain http", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 2048))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, `no TLS there: the answer begins with "HTTP/"`},
		{"closes", func(c net.Conn) { _, _ = c.Read(make([]byte, 2048)) }, "connection closed in the TLS handshake"},
		{"silent", mute, "timeout after 300ms in the TLS handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := Spec{Type: HTTPS, Target: rawServer(t, tt.serve), Timeout: quickTimeout}
			inBothWays(t, spec, func(t *testing.T, r Result) {
				if r.OK || r.Reason != tt.reason {
					t.Errorf("got %+v, want %q", r, tt.reason)
				}
			})
		})
	}
}

// TestCAFileChanges: a renewed CA file counts without a reload, a spoilt one
// leaves the old.
func TestCAFileChanges(t *testing.T) {
	one, two := newAuthority(t), newAuthority(t)
	path := one.file(t)
	target, _ := secureServer(t, two.sign(t, time.Now().Add(time.Hour)), 0)
	env := newEnv()
	p, err := compile(ptr(Spec{Type: HTTPS, Target: target, CAFile: path, Timeout: 10 * time.Second}.normal()), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := func(ok bool, reason string) {
		t.Helper()
		if r := run(context.Background(), p, nil); r.OK != ok || r.Reason != reason {
			t.Errorf("got %+v, want %t %q", r, ok, reason)
		}
	}
	want(false, "certificate signed by unknown authority")
	two.write(t, path)
	want(true, "status 200")
	if err := os.WriteFile(path, []byte("oops"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(true, "status 200")

	r := Once(context.Background(), Spec{Type: HTTPS, Target: target, CAFile: path}, io.Discard)
	if !r.Void || r.Reason != "CA file: "+path+" holds no certificate in PEM form" {
		t.Errorf("got %+v", r)
	}
}

func TestTranscript(t *testing.T) {
	ca := newAuthority(t)
	target, _ := secureServer(t, ca.sign(t, time.Now().Add(time.Hour), "a.example"), 0)
	var b bytes.Buffer
	spec := Spec{Type: HTTPS, Target: target, VirtualHost: "a.example", CAFile: ca.file(t), Receive: "Test Page"}
	if r := Once(context.Background(), spec, &b); !r.OK {
		t.Errorf("got %+v", r)
	}
	text := b.String()
	for _, want := range []string{
		"* connect tcp " + target.String() + ", timeout 5s\n", "* connected from 127.0.0.1:", "* TLS 1.3, TLS_",
		"* certificate of CN=web, by CN=test authority, until 20", "* verified for a.example\n",
		"> GET / HTTP/1.1\n> Host: a.example\n", "< HTTP/1.1 200 OK\n", "< Content-Length: 9\n",
		"* the body begins: Test Page\n", `= up: status 200, body has "Test Page" (`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the transcript lacks %q:\n%s", want, text)
		}
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// pairFiles writes a certificate and its key.
func pairFiles(t *testing.T, pair tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// secretFile writes a file with a password.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
