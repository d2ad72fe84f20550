//go:build servers

package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// host is where one server runs: a directory, ports, a certificate.
type host struct {
	t     *testing.T
	dir   string
	ports map[string]int
	ca    string // PEM files
	cert  string
	key   string
	procs []*exec.Cmd
}

// password is what every server here has for its user "probe".
const password = "open-sesame"

// newHost makes one. Most servers change to a user of their own, so that the
// directory must be open to all.
func newHost(t *testing.T, ports ...string) *host {
	t.Helper()
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("these tests start servers that want root")
	}
	dir, err := os.MkdirTemp("", "ipvsd-servers-")
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(dir, 0o755))
	h := &host{t: t, dir: dir, ports: map[string]int{}}
	t.Cleanup(func() {
		h.stop()
		if t.Failed() {
			h.tellLogs()
		}
		_ = os.RemoveAll(dir)
	})
	for _, name := range ports {
		h.ports[name] = freePort(t)
	}
	h.certificates()
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// freePort is a port that nobody uses now, in none of the families and
// protocols.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		_ = l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		if portFree(port) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func portFree(port int) bool {
	for _, at := range []string{"127.0.0.1", "::1"} {
		address := net.JoinHostPort(at, strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		_ = l.Close()
		p, err := net.ListenPacket("udp", address)
		if err != nil {
			return false
		}
		_ = p.Close()
	}
	return true
}

// file writes a file. In its text, $dir, $ca, $cert, $key, $password and
// ${port} of each port are replaced; "$$" is a dollar.
func (h *host) file(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(h.t, os.WriteFile(path, []byte(h.fill(text)), 0o644))
	return path
}

func (h *host) fill(text string) string {
	return os.Expand(text, func(name string) string {
		switch name {
		case "$":
			return "$"
		case "dir":
			return h.dir
		case "ca":
			return h.ca
		case "cert":
			return h.cert
		case "key":
			return h.key
		case "password":
			return password
		}
		if port, ok := h.ports[name]; ok {
			return strconv.Itoa(port)
		}
		return "$" + name // the server's own
	})
}

// folder makes a directory that belongs to a user, "" for root.
func (h *host) folder(name, owner string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.t, os.MkdirAll(path, 0o755))
	h.give(path, owner)
	return path
}

func (h *host) give(path, owner string) {
	h.t.Helper()
	if owner == "" {
		return
	}
	uid, gid := ids(h.t, owner)
	must(h.t, os.Chown(path, uid, gid))
}

func ids(t *testing.T, name string) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup(name)
	must(t, err)
	uid, err = strconv.Atoi(u.Uid)
	must(t, err)
	gid, err = strconv.Atoi(u.Gid)
	must(t, err)
	return uid, gid
}

// input is a text for a command's standard input.
func (h *host) input(text string) io.Reader { return strings.NewReader(h.fill(text)) }

// certificates makes an authority and a certificate for this machine's loopback
// addresses and for servers.test.
func (h *host) certificates() {
	t := h.t
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "servers.test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	h.ca = h.pem("ca.pem", "CERTIFICATE", h.sign(ca, ca, caKey, caKey))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "servers.test"}, DNSNames: []string{"servers.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	h.cert = h.pem("cert.pem", "CERTIFICATE", h.sign(cert, ca, key, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	h.key = h.pem("key.pem", "PRIVATE KEY", der)
}

func (h *host) sign(cert, by *x509.Certificate, key, with *ecdsa.PrivateKey) []byte {
	h.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, with)
	must(h.t, err)
	return der
}

func (h *host) pem(name, kind string, der []byte) string {
	return h.file(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// run runs a command to its end.
func (h *host) run(name string, args ...string) {
	h.t.Helper()
	h.runAs("", name, args...)
}

func (h *host) runAs(owner, name string, args ...string) {
	h.t.Helper()
	cmd := h.command(owner, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

func (h *host) command(owner, name string, args ...string) *exec.Cmd {
	h.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, where := range []string{"/usr/sbin/", "/usr/lib/postgresql/*/bin/"} {
			if found, _ := filepath.Glob(where + name); len(found) > 0 {
				path, err = found[len(found)-1], nil
			}
		}
	}
	if err != nil {
		h.t.Fatalf("%v: make deps-servers installs it", err)
	}
	for i := range args {
		args[i] = h.fill(args[i])
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if owner != "" {
		uid, gid := ids(h.t, owner)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return cmd
}

// serve starts a server, which must stay in the foreground.
func (h *host) serve(name string, args ...string) {
	h.t.Helper()
	h.serveAs("", name, args...)
}

func (h *host) serveAs(owner, name string, args ...string) {
	h.t.Helper()
	cmd := h.command(owner, name, args...)
	log, err := os.Create(filepath.Join(h.dir, filepath.Base(name)+".output"))
	must(h.t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	must(h.t, cmd.Start())
	h.procs = append(h.procs, cmd)
}

// tellLogs shows what the servers said.
func (h *host) tellLogs() {
	logs, _ := filepath.Glob(filepath.Join(h.dir, "*.output"))
	more, _ := filepath.Glob(filepath.Join(h.dir, "*.log"))
	for _, path := range append(logs, more...) {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			h.t.Logf("%s:\n%s", filepath.Base(path), b[max(0, len(b)-4000):])
		}
	}
}
