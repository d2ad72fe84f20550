package scenario

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/ipvsd/ipvsd/test/lab"
)

// checkedNode is a real server with everything that is checked.
type checkedNode struct {
	t    *testing.T
	host *lab.Host
	addr string
	down string // the file that the external check looks for
	web  *lab.Web
	echo *lab.Echo

	mu      sync.Mutex
	how     string
	closers []func()
	wg      sync.WaitGroup
}

// answer has all servers of the node answer so. An echo that is open and stays
// so is never away.
func (n *checkedNode) answer(how string) {
	n.t.Helper()
	n.close()
	n.mu.Lock()
	n.how = how
	n.mu.Unlock()
	switch how {
	case well:
		n.web.Page("/page", 200, rightPage)
	case wrong:
		n.web.Page("/page", 200, "another page\n")
	case odd:
		n.web.Page("/page", 404, rightPage)
	}
	var err error
	if how == well || how == odd {
		n.echo.Reopen()
		n.host.SetSysctl("net.ipv4.icmp_echo_ignore_all", "0")
		err = os.Remove(n.down)
	} else {
		n.echo.Close()
		n.host.SetSysctl("net.ipv4.icmp_echo_ignore_all", "1")
		err = os.WriteFile(n.down, nil, 0o644)
	}
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	if how == closed {
		return
	}
	n.web.Reopen()
	n.mail()
	n.datagrams(":53", n.dns)
	n.datagrams(":9", n.bytes)
}

func (n *checkedNode) close() {
	n.web.Close()
	for _, c := range n.closers {
		c()
	}
	n.closers = nil
	n.wg.Wait()
}

func (n *checkedNode) is() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.how
}

// mail is an SMTP server: wrong ones don't greet, odd ones know nobody.
func (n *checkedNode) mail() {
	l, err := n.host.Listen("tcp", ":25")
	if err != nil {
		n.t.Fatal(err)
	}
	n.closers = append(n.closers, func() { l.Close() })
	n.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() { n.smtp(c) })
		}
	})
}

func (n *checkedNode) smtp(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	how := n.is()
	if how == wrong {
		fmt.Fprint(c, "554 no\r\n")
		return
	}
	fmt.Fprint(c, "220 here\r\n")
	for s := bufio.NewScanner(c); s.Scan(); {
		switch {
		case strings.HasPrefix(strings.ToUpper(s.Text()), "QUIT"):
			fmt.Fprint(c, "221 bye\r\n")
			return
		case how == odd:
			fmt.Fprint(c, "550 who\r\n")
		default:
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
}

func (n *checkedNode) datagrams(addr string, reply func([]byte) []byte) {
	c, err := n.host.ListenPacket("udp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.closers = append(n.closers, func() { c.Close() })
	n.wg.Go(func() {
		for buf := make([]byte, 1500); ; {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if b := reply(buf[:size]); b != nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	})
}

// dns answers what it is asked: wrong ones fail, odd ones have no record.
func (n *checkedNode) dns(question []byte) []byte {
	var q, a dns.Msg
	if q.Unpack(question) != nil || len(q.Question) != 1 {
		return nil
	}
	a.SetReply(&q)
	switch n.is() {
	case wrong:
		a.Rcode = dns.RcodeServerFailure
	case well:
		a.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1),
		}}
	}
	b, err := a.Pack()
	if err != nil {
		return nil
	}
	return b
}

// bytes answers 01 02 03; odd ones less than that.
func (n *checkedNode) bytes([]byte) []byte {
	switch n.is() {
	case wrong:
		return []byte{9, 9}
	case odd:
		return []byte{1}
	}
	return []byte{1, 2, 3}
}
