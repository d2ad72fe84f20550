package checker

import (
	"crypto/tls"
	"crypto/x509"
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
	roots  *roots
}

// newTLSClient prepares the handshake. The post-quantum exchange is left out:
// it protects nothing in a health check and costs half as much again. There is
// no session resumption, because a resumed handshake shows no certificate, and
// an expired one would go unseen.
func newTLSClient(spec *Spec, roots *roots) *tlsClient {
	return &tlsClient{
		caFile: spec.CAFile,
		roots:  roots,
		config: &tls.Config{
			ServerName:         spec.serverName(),
			InsecureSkipVerify: spec.Insecure,
			MinVersion:         spec.MinTLS,
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

// current returns the configuration with the authorities of this moment.
func (c *tlsClient) current() (*tls.Config, error) {
	if c.caFile == "" || c.config.InsecureSkipVerify {
		return c.config, nil
	}
	pool, err := c.roots.get(c.caFile)
	if err != nil {
		return nil, &caError{err}
	}
	if c.config.RootCAs != pool {
		c.config = c.config.Clone()
		c.config.RootCAs = pool
	}
	return c.config, nil
}

// caError tells that the CA file cannot be used, which is not the server's
// fault.
type caError struct{ err error }

func (e *caError) Error() string { return "CA file: " + e.err.Error() }

func (c *tlsClient) handshake(s *sock, t *transcript) (*tls.Conn, error) {
	config, err := c.current()
	if err != nil {
		return nil, err
	}
	conn := tls.Client(s, config)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	s.phase = waiting
	if t != nil {
		tlsNotes(t, conn.ConnectionState(), config)
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

// roots keeps the certificate pools of CA files and reads a file again when it
// has changed. Probes share it.
type roots struct {
	mu    sync.Mutex
	pools map[string]pool
}

type pool struct {
	certs   *x509.CertPool
	changed time.Time
	size    int64
}

func newRoots() *roots { return &roots{pools: map[string]pool{}} }

// get returns the pool of a file. A file that has become unreadable or empty
// leaves the pool that was read before.
func (r *roots) get(file string) (*x509.CertPool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.pools[file]
	info, err := os.Stat(file)
	if err == nil && old.certs != nil && info.ModTime().Equal(old.changed) && info.Size() == old.size {
		return old.certs, nil
	}
	certs, readErr := readCA(file)
	if readErr != nil {
		if old.certs != nil {
			return old.certs, nil
		}
		return nil, readErr
	}
	if err == nil {
		r.pools[file] = pool{certs, info.ModTime(), info.Size()}
	}
	return certs, nil
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
