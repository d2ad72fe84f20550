package keepalived

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert"
)

// pool is what may stand where something else should.
var pool = []string{
	"0", "1", "-1", "-20", "255", "256", "65535", "65536", "99999999999", "1e9", "0.05", "x", `""`, `"a b"`, `"'"`, "/", "/bin/true", "[", "(",
	"::", "::1", "10.0.0.1", "192.0.2.1", "192.0.2.3", "192.0.2.10", "192.0.2.10/24", "192.0.2.0/24", "0.0.0.0", "127.0.0.1", "224.0.0.1",
	"255.255.255.255", "fe80::1", "fe80::1%eth0", "2001:db8::10", "2001:db8::/64", "::ffff:192.0.2.10", "192.0.2.1-9", "eth0:1", "a/b",
	"default", "DR", "NAT", "TUN", "TCP", "UDP", "SCTP", "sh", "mh", "rr", "on", "off", "weight", "reverse", "type", "gue", "port", "80", "MASTER",
}

// TestMutated changes words of realistic files at random, drops and doubles
// lines. What comes of it is valid all the same.
func TestMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var files [][]string
	for _, name := range golden(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, strings.Split(string(data), "\n"))
	}
	for range 500 {
		text := mutated(rnd, files[rnd.IntN(len(files))])
		toml := Convert([]convert.File{{Name: "keepalived.conf", Data: []byte(text)}}, convert.Options{}).TOML()
		if _, _, err := config.Parse("ipvsd.toml", toml); err != nil {
			t.Fatalf("the output isn't valid:\n%v\n%s\nof\n%s", err, toml, text)
		}
	}
}

func mutated(rnd *rand.Rand, lines []string) string {
	var out []string
	for _, l := range lines {
		words := strings.Fields(l)
		for i := range words {
			if i > 0 && rnd.IntN(12) == 0 && !strings.ContainsAny(words[i], "{}") {
				words[i] = pool[rnd.IntN(len(pool))]
			}
		}
		l = strings.Join(words, " ")
		out = append(out, l)
		if strings.ContainsAny(l, "{}") {
			continue
		}
		switch rnd.IntN(40) {
		case 0:
			out = out[:len(out)-1]
		case 1:
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
