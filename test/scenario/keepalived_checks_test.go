package scenario

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// How a real server answers.
const (
	well   = "well"
	wrong  = "wrong"
	closed = "closed"
	odd    = "odd" // in a way about which two programs may differ
)

// Ports of the virtual services, one for each kind of check.
const (
	checkStatus = 1 + iota
	checkDigest
	checkRegex
	checkTCP
	checkSMTP
	checkDNS
	checkUDP
	checkMisc
	checkPing
)

// verdicts are two that differ.
type verdicts struct {
	port   int
	answer string
	theirs bool // keepalived has the real server up
	why    string
}

// keepalivedDiffers are all the real servers that only one of the two has up,
// by how they answer, and why that is right.
var keepalivedDiffers = []verdicts{
	{checkDigest, wrong, false, "ipvsd compares no digest, and the importer has a note that says so"},
	{checkDNS, odd, true, "NOERROR without a record is an answer to keepalived; ipvsd wants the record"},
	{checkUDP, odd, true, "keepalived compares as many bytes as came; ipvsd wants all that expect has"},
}

// TestKeepalivedChecks runs the real keepalived on one director and ipvsd with
// what the importer made of its file on another, before the same real servers.
// Whatever those answer, both have the same ones up, but for keepalivedDiffers,
// and run the same programs.
func TestKeepalivedChecks(t *testing.T) {
	k := newChecked(t)
	both := map[string]string{"keepalived": k.file("keepalived"), "ipvsd": k.file("ipvsd")}
	rounds := [][]string{ // one echo stays open as long as others do, so that the quorum is lost once
		{well, wrong, closed, odd},
		{wrong, odd, well, odd},
		{closed, closed, closed, closed},
		{well, well, well, well},
	}
	k.answer(rounds[0])
	k.keepalived(both["keepalived"])
	k.ipvsd(both["ipvsd"])
	for i, r := range rounds {
		k.answer(r)
		k.same(fmt.Sprintf("round %d: %s", i+1, strings.Join(r, ", ")), r)
		k.sameTold()
	}
	for i, d := range keepalivedDiffers {
		if !k.seen[i] {
			t.Errorf("a difference that isn't there: port %d, %s, because %s", d.port, d.answer, d.why)
		}
	}
}

// checked is two directors and four real servers.
type checked struct {
	t            *testing.T
	dir          string
	theirs, ours *lab.Host
	nodes        []*checkedNode
	seen         map[int]bool
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	net := lab.New(t)
	k := &checked{t: t, dir: t.TempDir(), seen: make(map[int]bool)}
	k.theirs = net.Host("keepalived", "192.168.0.2/24")
	k.ours = net.Host("ipvsd", "192.168.0.3/24")
	for i := range 4 {
		h := net.Host(fmt.Sprintf("web%d", i+1), fmt.Sprintf("192.168.0.%d/24", 101+i))
		n := &checkedNode{t: t, host: h, addr: h.Addr("4").String(), down: filepath.Join(k.dir, fmt.Sprintf("down-192.168.0.%d", 101+i)), web: h.Web(":80", h.Name), echo: h.Echo("tcp", ":7", h.Name)}
		t.Cleanup(n.close)
		k.nodes = append(k.nodes, n)
	}
	k.script("alive", `[ ! -e "`+k.dir+`/down-$1" ]`)
	k.script("told", `echo "$2 $3" >> "`+k.dir+`/told-$1"`)
	return k
}

func (k *checked) script(name, text string) {
	k.t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		k.t.Fatal(err)
	}
}

const rightPage = "This is the right page\n"

// file is a keepalived.conf; its programs tell whose it is.
func (k *checked) file(whose string) string {
	k.t.Helper()
	get := func(lines string) string { return "HTTP_GET {\nurl {\npath /page\n" + lines + "\n}\nconnect_port 80\n" }
	checkers := map[int]string{
		checkStatus: get("status_code 200"),
		checkDigest: get(fmt.Sprintf("digest %x", md5.Sum([]byte(rightPage)))),
		checkRegex:  get(`regex "the +right"`),
		checkTCP:    "TCP_CHECK {\nconnect_port 7\n",
		checkSMTP:   "SMTP_CHECK {\nconnect_port 25\n",
		checkDNS:    "DNS_CHECK {\nconnect_port 53\ntype A\nname www.example.org\n",
		checkUDP:    "UDP_CHECK {\nconnect_port 9\npayload 0001\nrequire_reply 0102\n",
		checkMisc:   "MISC_CHECK {\nmisc_path \"" + k.dir + "/alive %s\"\nmisc_timeout 5\n",
		checkPing:   "PING_CHECK {\n",
	}
	var b strings.Builder
	for port := checkStatus; port <= checkPing; port++ {
		protocol, check := "TCP", checkers[port]
		if port == checkDNS || port == checkUDP {
			protocol = "UDP"
		}
		if !strings.Contains(check, "MISC") {
			check += "connect_timeout 5\n"
		}
		fmt.Fprintf(&b, "virtual_server 192.168.0.112 %d {\ndelay_loop 1\nretry 0\nwarmup 0\nlvs_sched rr\nlvs_method DR\nprotocol %s\n", port, protocol)
		if port == checkTCP {
			fmt.Fprintf(&b, "quorum_up \"%[1]s/told %[2]s quorum up\"\nquorum_down \"%[1]s/told %[2]s quorum down\"\n", k.dir, whose)
		}
		for _, n := range k.nodes {
			fmt.Fprintf(&b, "real_server %s %d {\n%s}\n", n.addr, port, strings.ReplaceAll(check, "%s", n.addr))
			if port == checkTCP {
				fmt.Fprintf(&b, "notify_up \"%[1]s/told %[2]s %[3]s up\"\nnotify_down \"%[1]s/told %[2]s %[3]s down\"\n", k.dir, whose, n.host.Name)
			}
			b.WriteString("}\n")
		}
		b.WriteString("}\n")
	}
	path := filepath.Join(k.dir, whose+".conf")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func (k *checked) keepalived(file string) {
	p := k.theirs.Start("/usr/sbin/keepalived", "--dont-fork", "--log-console", "--log-detail", "--check", "--use-file", file,
		"--pid", filepath.Join(k.dir, "main.pid"), "--checkers_pid", filepath.Join(k.dir, "checkers.pid"))
	k.t.Cleanup(func() {
		if k.t.Failed() {
			k.t.Logf("keepalived:\n%s", p.Output())
		}
	})
}

// ipvsd runs a director with what is imported of a file.
func (k *checked) ipvsd(file string) {
	k.t.Helper()
	out, err := k.ours.Command(context.Background(), os.Getenv(binaryVar), "config", "import", "--from", "keepalived", file).Output()
	if code := exitStatus(k.t, err); code != 3 { // the digest
		k.t.Fatalf("import: exit %d, and 3 was to come", code)
	}
	toml, socket := filepath.Join(k.dir, "ipvsd.toml"), filepath.Join(k.dir, "ipvsd.sock")
	text := fmt.Sprintf("[director]\nstate_dir = %q\n", filepath.Join(k.dir, "state")) + string(out)
	if err := os.WriteFile(toml, []byte(text), 0o644); err != nil {
		k.t.Fatal(err)
	}
	p := k.ours.Start(os.Getenv(binaryVar), "director", "-c", toml, "--socket", socket)
	k.t.Cleanup(func() {
		if k.t.Failed() {
			k.t.Logf("ipvsd with\n%s\n%s", text, p.Output())
		}
	})
	lab.Eventually(k.t, 30*time.Second, "ipvsd is ready", func() bool {
		var s director.Status
		out, code := tryOn(k.t, k.ours, "status", "--json", "--socket", socket)
		return code != 1 && json.Unmarshal([]byte(out), &s) == nil && s.Ready
	})
}

func (k *checked) answer(how []string) {
	k.t.Helper()
	for i, n := range k.nodes {
		n.answer(how[i])
	}
}

// up are the real servers in a director's table: "port name".
func (k *checked) up(h *lab.Host) []string {
	var out []string
	for line := range strings.Lines(h.Run("ipvsadm", "-Sn")) {
		words := strings.Fields(line)
		if len(words) < 5 || words[0] != "-a" {
			continue
		}
		_, port, _ := strings.Cut(words[2], ":")
		for _, n := range k.nodes {
			if strings.HasPrefix(words[4], n.addr+":") && !strings.Contains(line+" ", " -w 0 ") {
				out = append(out, port+" "+n.host.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// same waits until both have the same real servers up, but for the differences,
// and as many as answer well at least.
func (k *checked) same(when string, how []string) {
	k.t.Helper()
	var lines []string // what is up in ipvsd
	var told string
	good := func() bool {
		theirs, ours := k.up(k.theirs), k.up(k.ours)
		lines = ours
		told = fmt.Sprintf("keepalived has up\n%q\nipvsd\n%q", theirs, ours)
		seen := make(map[int]bool)
		for port := checkStatus; port <= checkPing; port++ {
			for i, n := range k.nodes {
				one := fmt.Sprintf("%d %s", port, n.host.Name)
				a, b := slices.Contains(theirs, one), slices.Contains(ours, one)
				at := slices.IndexFunc(keepalivedDiffers, func(d verdicts) bool { return d.port == port && d.answer == how[i] })
				switch {
				case at >= 0 && a == keepalivedDiffers[at].theirs && b != a:
					seen[at] = true
				case at >= 0, a != b, how[i] == well && !a, how[i] == closed && a:
					return false
				}
			}
		}
		for i := range seen {
			k.seen[i] = true
		}
		return true
	}
	for end := time.Now().Add(2 * time.Minute); !good(); time.Sleep(2 * time.Second) {
		if time.Now().After(end) {
			k.t.Fatalf("%s: %s", when, told)
		}
	}
	k.t.Logf("%s: %d of 36 are up with ipvsd", when, len(lines))
}

// sameTold waits until both have run the same programs, which are run in any
// order. keepalived says at its start that there is a quorum.
func (k *checked) sameTold() {
	k.t.Helper()
	var theirs, ours []string
	lines := func(whose string) []string {
		data, _ := os.ReadFile(filepath.Join(k.dir, "told-"+whose)) // before the first there is none
		list := strings.Split(strings.TrimSpace(string(data)), "\n")
		slices.Sort(list)
		return list
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Second) {
		theirs, ours = lines("keepalived"), lines("ipvsd")
		if i := slices.Index(theirs, "quorum up"); i >= 0 {
			theirs = slices.Delete(theirs, i, i+1)
		}
		if slices.Equal(theirs, ours) {
			return
		}
		if time.Now().After(end) {
			k.t.Fatalf("keepalived's programs told\n%q\nipvsd's\n%q", theirs, ours)
		}
	}
}
