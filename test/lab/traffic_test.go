package lab_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// The lab is for this: a virtual service in direct routing mode.
func TestDirectRouting(t *testing.T) {
	n := lab.New(t)
	client := n.Host("client", "192.0.2.1/24")
	director := n.Host("director", "192.0.2.10/24", "192.0.2.100/32")
	director.Run("ipvsadm", "-A", "-t", "192.0.2.100:80", "-s", "rr")
	director.Run("ipvsadm", "-A", "-t", "192.0.2.100:7", "-s", "rr")
	for _, x := range []struct{ name, addr string }{{"web1", "192.0.2.11"}, {"web2", "192.0.2.12"}} {
		h := n.Host(x.name, x.addr+"/24")
		h.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
		h.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
		h.AddAddr("lo", "192.0.2.100/32")
		h.Web(":80", x.name)
		h.Echo("tcp", ":7", x.name)
		director.Run("ipvsadm", "-a", "-t", "192.0.2.100:80", "-r", x.addr, "-g")
		director.Run("ipvsadm", "-a", "-t", "192.0.2.100:7", "-r", x.addr, "-g")
	}
	if macs := client.ARP(netip.MustParseAddr("192.0.2.100"), 3); len(macs) != 1 ||
		macs[0].String() != director.MAC().String() {
		t.Errorf("the address is answered by %v, want the director %v alone", macs, director.MAC())
	}
	hold := client.Hold("tcp", "192.0.2.100:7")
	l := client.Load("http://192.0.2.100/", lab.Every(20*time.Millisecond))
	l.WaitFor(func(r lab.Report) bool { return r.OK >= 50 }, 10*time.Second)
	r := l.Stop()
	t.Logf("\n%v", r)
	if len(r.Failed) > 0 || r.OK < 50 {
		t.Errorf("%v", r)
	}
	if d := r.Servers["web1"].Count - r.Servers["web2"].Count; d < -1 || d > 1 {
		t.Errorf("not evenly spread: %v", r)
	}
	if h := hold.Stop(); h.Broken != nil || h.Answered < 5 || !strings.HasPrefix(h.Server, "web") {
		t.Errorf("hold: %v", h)
	}
}

func TestWeb(t *testing.T) {
	n := lab.New(t)
	client := n.Host("client", "192.0.2.1/24")
	w := n.Host("server", "192.0.2.2/24").Web(":8080", "w")
	const url = "http://192.0.2.2:8080"
	mustAnswer(t, client, url+"/", "w")
	w.Page("/health", 503, "no")
	w.Hang("/hang")
	for path, want := range map[string]string{"/health": "status 503", "/none": "status 404", "/hang": "timeout"} {
		if _, err := client.Get(url+path, 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if w.Count("/") != 1 || w.Requests() != 4 {
		t.Errorf("%d requests for /, %d in all, want 1 and 4", w.Count("/"), w.Requests())
	}
	w.Close()
	if _, err := client.Get(url+"/", time.Second); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("closed: %v, want refused", err)
	}
	w.Reopen()
	mustAnswer(t, client, url+"/", "w")
}

func TestWebTLS(t *testing.T) {
	n := lab.New(t)
	client := n.Host("client", "192.0.2.1/24")
	n.Host("server", "192.0.2.2/24").WebTLS(":443", "secure", certificate(t))
	mustAnswer(t, client, "https://192.0.2.2/", "secure")
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestEcho(t *testing.T) {
	for _, network := range []string{"tcp", "udp", "sctp"} {
		t.Run(network, func(t *testing.T) {
			n := lab.New(t)
			client := n.Host("client", "192.0.2.1/24", "2001:db8::1/64")
			e := n.Host("server", "192.0.2.2/24", "2001:db8::2/64").Echo(network, ":7", "e")
			for _, addr := range []string{"192.0.2.2:7", "[2001:db8::2]:7"} {
				l := client.Load(network + "://" + addr)
				l.WaitFor(func(r lab.Report) bool { return r.OK >= 10 }, 5*time.Second)
				if r := l.Stop(); len(r.Failed) > 0 || r.Servers["e"].Count < 10 {
					t.Errorf("%s: %v", addr, r)
				}
			}
			e.Close()
			if name, err := client.Get(network+"://192.0.2.2:7", time.Second); err == nil ||
				!strings.Contains(err.Error(), "refused") {
				t.Errorf("closed: %q, %v, want refused", name, err)
			}
		})
	}
}

func TestHold(t *testing.T) {
	for _, network := range []string{"tcp", "sctp"} {
		t.Run(network, func(t *testing.T) {
			n := lab.New(t)
			e := n.Host("server", "192.0.2.2/24").Echo(network, ":7", "e")
			k := n.Host("client", "192.0.2.1/24").Hold(network, "192.0.2.2:7")
			lab.Eventually(t, 5*time.Second, "three answers", func() bool { return k.Report().Answered >= 3 })
			if e.Open() != 1 {
				t.Errorf("%d connections open, want 1", e.Open())
			}
			e.Close()
			lab.Eventually(t, 5*time.Second, "the connection breaks", func() bool { return k.Report().Broken != nil })
			t.Log(k.Stop())
		})
	}
}
