package scenario

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

var panels = flag.Bool("panels", false, "TestPrometheus: write what the dashboard's panels show to panels.json in -outputdir")

const prometheusPort = "127.0.0.1:9090"

// prometheus is Debian's, on the client's host, with our rules.
type prometheus struct {
	*trial
	began time.Time
	http  http.Client
}

// series is one line of an answer to a range query.
type series struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"` // Unix seconds, value as text
}

func (tr *trial) prometheus() *prometheus {
	t := tr.t
	dir := t.TempDir()
	rules, err := filepath.Abs("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 5s}
rule_files: [%q]
scrape_configs:
  - job_name: ipvsd-lab
    static_configs: [{targets: ["192.168.0.111:9117", "192.168.0.112:9117"]}]
    relabel_configs:
      - {source_labels: [__address__], regex: "192.168.0.11(.):9117", target_label: instance, replacement: "loadb$1"}
`, rules)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	proc := tr.client.Start("/usr/bin/prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+prometheusPort, "--log.level=warn")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("prometheus:\n%s", proc.Output())
		}
	})
	p := &prometheus{trial: tr, began: time.Now(), http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return tr.client.DialContext(ctx, network, addr)
		},
	}}}
	lab.Eventually(t, time.Minute, "prometheus has scraped both directors", func() bool {
		var up []series
		return p.ask("query_range", p.window("sum(up) == 2"), &struct{ Result *[]series }{&up}) == nil && len(up) == 1
	})
	return p
}

// window is a query over all that was scraped so far.
func (p *prometheus) window(query string) url.Values {
	unix := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', 3, 64) }
	return url.Values{"query": {query}, "start": {unix(p.began)}, "end": {unix(time.Now())}, "step": {"1"}}
}

// ask reads the data of an answer of Prometheus' API.
func (p *prometheus) ask(path string, q url.Values, data any) error {
	resp, err := p.http.Get("http://" + prometheusPort + "/api/v1/" + path + "?" + q.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s: %s", q.Get("query"), answer.Error)
	}
	return nil
}

func (p *prometheus) mustAsk(path string, q url.Values, data any) {
	p.t.Helper()
	if err := p.ask(path, q, data); err != nil {
		p.t.Fatal(err)
	}
}

// shown is a panel of the dashboard with the answers to its queries.
type shown struct {
	Title   string     `json:"title"`
	Answers [][]series `json:"answers"`
}

// grafanaVariables are the dashboard's, as Grafana would fill them in.
var grafanaVariables = strings.NewReplacer("$__rate_interval", "10s", "$job", "ipvsd.*", "$virtual", ".*")

// dashboard asks what every panel of the dashboard asks.
func (p *prometheus) dashboard() []shown {
	text, err := os.ReadFile("../../deploy/grafana/ipvsd.json")
	if err != nil {
		p.t.Fatal(err)
	}
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		p.t.Fatal(err)
	}
	var out []shown
	for _, panel := range file.Panels {
		s := shown{Title: panel.Title}
		for _, target := range panel.Targets {
			var lines []series
			p.mustAsk("query_range", p.window(grafanaVariables.Replace(target.Expr)), &struct{ Result *[]series }{&lines})
			s.Answers = append(s.Answers, lines)
		}
		out = append(out, s)
	}
	return out
}

// TestPrometheus has Debian's Prometheus scrape a cluster to which everything
// happens that the dashboard shows: each metric of docs/metrics.md is there, each
// query of the dashboard has an answer, each alert can be evaluated.
func TestPrometheus(t *testing.T) {
	c := newCluster(t, 2)
	tr := newTrial(c)
	file := func(i int) string { return "[http]\nlisten = \":9117\"\n" + c.file(i, relaxed) }
	c.startWith(file)
	p := tr.prometheus()
	tr.tutorialTraffic()
	one, two := tr.lbs[0], tr.lbs[1]
	length := 4 * time.Second
	if *panels { // the picture has room for more
		length = 20 * time.Second
	}
	pause := func() { time.Sleep(length) }

	pause()
	c.nodes[1].Cut()
	tr.await("web2 is down", func() bool {
		return strings.Contains(one.metrics(), `ipvsd_real_server_up{virtual="web",real="192.168.0.102:80"} 0`)
	})
	pause()
	c.nodes[1].Heal()
	one.host.Run("ipvsadm", "-e", "-t", vip4+":80", "-r", "192.168.0.101:80", "-g", "-w", "7")
	tr.await("the drift is repaired", func() bool { return !strings.Contains(one.host.Run("ipvsadm", "-Sn"), "-w 7") })
	one.hangUp("not TOML")
	tr.await("the reload is refused", func() bool { return one.status().Config.Error != "" })
	one.reload(file(0))
	one.host.Run(os.Getenv(binaryVar), "drain", "192.168.0.101:7", "--deadline", "1h", "--socket", one.socket())
	pause()
	one.host.Run(os.Getenv(binaryVar), "failover", "--to", "loadb2", "--socket", one.socket())
	pause()
	two.die()
	tr.awaitMove("loadb1")
	pause()
	two.host.Heal()
	two.start(file(1))
	tr.await("loadb2 is back", func() bool { return strings.Contains(two.metrics(), "ipvsd_ready 1") })
	pause()

	p.names()
	p.rules()
	all := p.dashboard()
	for _, s := range all {
		for i, lines := range s.Answers {
			if len(lines) == 0 && s.Title != "Certificates" { // no check over TLS here
				t.Errorf("panel %q: no answer to query %d", s.Title, i+1)
			}
		}
	}
	if *panels {
		p.write(all)
	}
	tr.end()
}

// metrics is a scrape as a person makes it; "" while nothing answers.
func (l *lb) metrics() string {
	text, _ := l.host.Try("curl", "-sf", "http://127.0.0.1:9117/metrics")
	return text
}

// names holds what was scraped to docs/metrics.md.
func (p *prometheus) names() {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	p.mustAsk("label/__name__/values", nil, &list)
	have := map[string]bool{}
	for _, name := range list {
		have[strings.TrimSuffix(name, "_bucket")] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `(ipvsd_[a-z_]+)").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 30 {
		p.t.Fatalf("docs/metrics.md: %d metrics", len(rows))
	}
	for _, row := range rows {
		if name := row[1]; !have[name] && name != "ipvsd_certificate_expiry_timestamp_seconds" {
			p.t.Errorf("Prometheus has no %s", name)
		}
	}
}

// rules holds Prometheus to having evaluated all alerts.
func (p *prometheus) rules() {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.mustAsk("rules", nil, &data)
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health != "ok" {
				p.t.Errorf("alert %s: %s %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n == 0 {
		p.t.Error("Prometheus has no rules")
	}
}

func (p *prometheus) write(all []shown) {
	text, err := json.Marshal(struct {
		From   int64   `json:"from"`
		To     int64   `json:"to"`
		Panels []shown `json:"panels"`
	}{p.began.Unix(), time.Now().Unix(), all})
	if err == nil {
		err = os.WriteFile(filepath.Join(flag.Lookup("test.outputdir").Value.String(), "panels.json"), text, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
