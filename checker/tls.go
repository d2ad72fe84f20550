package checker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// tlsClient is the TLS side of one probe.
type tlsClient struct {
	config *tls.Config
	caFile string // "": the system's authorities
	own    pair   // what we show, if the server asks
	shown  *tls.Certificate
	files  *tlsFiles
}

// newTLSClient prepares the handshake. The post-quantum exchange is left out:
// it protects nothing in a health check and costs half as much again. There is
// no session resumption, because a resumed handshake shows no certificate, and
// an expired one would go unseen.
func newTLSClient(spec *Spec, env *env) *tlsClient {
	return &tlsClient{
		caFile: spec.CAFile,
		own:    pair{spec.ClientCert, spec.ClientKey},
		files:  env.files,
		config: &tls.Config{
			ServerName:         spec.serverName(),
			InsecureSkipVerify: spec.Insecure,
			MinVersion:         spec.MinTLS,
			VerifyConnection:   lasting(spec.MinDays),
			CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256},
		},
	}
}

// serverName is the name to verify; it is also the SNI, unless it is an
// address: crypto/tls sends none then.
func (s *Spec) serverName() string {
	switch {
	case s.ServerName != "":
		return s.ServerName
	case s.VirtualHost != "":
		if host, _, err := net.SplitHostPort(s.VirtualHost); err == nil {
			return host
		}
		return strings.Trim(s.VirtualHost, "[]")
	}
	return s.Target.Addr().Unmap().WithZone("").String()
}

// current returns the configuration with the files of this moment.
func (c *tlsClient) current() (*tls.Config, error) {
	if c.caFile != "" && !c.config.InsecureSkipVerify {
		pool, err := c.files.authorities.get(c.caFile)
		if err != nil {
			return nil, &fileError{"CA file", err}
		}
		if c.config.RootCAs != pool {
			c.config = c.config.Clone()
			c.config.RootCAs = pool
		}
	}
	if c.own.cert != "" {
		cert, err := c.files.pairs.get(c.own)
		if err != nil {
			return nil, &fileError{"client certificate", err}
		}
		if c.shown != cert {
			c.shown, c.config = cert, c.config.Clone()
			c.config.Certificates = []tls.Certificate{*cert}
		}
	}
	return c.config, nil
}

// handshake makes it over a connection. resume is nil, or keeps the session for
// the next connection of the same check.
func (c *tlsClient) handshake(s *sock, t *transcript, resume tls.ClientSessionCache) (*tls.Conn, error) {
	config, err := c.current()
	if err != nil {
		return nil, err
	}
	if resume != nil {
		config = config.Clone()
		config.ClientSessionCache = resume
	}
	conn := tls.Client(s, config)
	err = conn.Handshake()
	state := conn.ConnectionState()
	s.certUntil = certUntil(state.PeerCertificates)
	if err != nil {
		var unverified *tls.CertificateVerificationError
		if errors.As(err, &unverified) {
			s.certUntil = certUntil(unverified.UnverifiedCertificates)
		}
		return nil, err
	}
	s.phase = waiting
	if t != nil {
		tlsNotes(t, state, config)
	}
	return conn, nil
}

func tlsNotes(t *transcript, state tls.ConnectionState, config *tls.Config) {
	t.done("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	for i, cert := range state.PeerCertificates {
		what := "certificate of"
		if i > 0 {
			what = "  sent with it:"
		}
		t.note("%s %s, by %s, until %s", what, cert.Subject, cert.Issuer, cert.NotAfter.UTC().Format(time.DateTime))
	}
	if config.InsecureSkipVerify {
		t.note("the certificate was not verified")
		return
	}
	t.note("verified for %s", config.ServerName)
}

// certUntil is when the first certificate of a chain runs out that the server
// has sent.
func certUntil(chain []*x509.Certificate) time.Time {
	var first time.Time
	for _, cert := range chain {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}

// tlsFiles are the certificates that probes share.
type tlsFiles struct {
	authorities *fileCache[string, *x509.CertPool]
	pairs       *fileCache[pair, *tls.Certificate]
}

// pair is a certificate and its key, in two files.
type pair struct{ cert, key string }

func newTLSFiles() *tlsFiles {
	return &tlsFiles{
		authorities: &fileCache[string, *x509.CertPool]{
			kept: map[string]kept[*x509.CertPool]{},
			read: readCA, main: func(file string) string { return file },
		},
		pairs: &fileCache[pair, *tls.Certificate]{
			kept: map[pair]kept[*tls.Certificate]{},
			read: func(p pair) (*tls.Certificate, error) { return readPair(p.cert, p.key) },
			main: func(p pair) string { return p.cert },
		},
	}
}

// fileCache keeps what was read of files and reads again when the main one has
// changed.
type fileCache[K comparable, V any] struct {
	mu   sync.Mutex
	kept map[K]kept[V]
	read func(K) (V, error)
	main func(K) string
}

type kept[V any] struct {
	value   V
	changed time.Time
	size    int64
}

// get returns what a file holds. One that has become unreadable or senseless
// leaves what was read before.
func (c *fileCache[K, V]) get(key K) (V, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, have := c.kept[key]
	info, err := os.Stat(c.main(key))
	if err == nil && have && info.ModTime().Equal(old.changed) && info.Size() == old.size {
		return old.value, nil
	}
	value, readErr := c.read(key)
	if readErr != nil {
		if have {
			return old.value, nil
		}
		return value, readErr
	}
	if err == nil {
		c.kept[key] = kept[V]{value, info.ModTime(), info.Size()}
	}
	return value, nil
}

func readCA(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	certs := x509.NewCertPool()
	if !certs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return certs, nil
}
