package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	demoVIP      = "192.168.0.105"
	demoURL      = "http://" + demoVIP + "/"
	demoClient   = "192.168.0.1"
	demoDirector = "192.168.0.110"
	demoFallback = "fallback" // the name of the director's own web server
)

// demoFile is the tutorial's file with three web servers.
const demoFile = `[check]
type = "http"
request = "/ldirector.html"
receive = "Test Page"
interval = "1s"
timeout = "1s"

[[virtual]]
name = "web"
address = "192.168.0.105:80"
scheduler = "rr"
fallback = { address = "127.0.0.1:80" }

  [[virtual.real]]
  address = "192.168.0.101"

  [[virtual.real]]
  address = "192.168.0.102"

  [[virtual.real]]
  address = "192.168.0.103"
`

const (
	testPage   = "<html><body>Test Page</body></html>\n"
	brokenPage = "<html><body>Sorry, the database is gone.</body></html>\n"
)

// demoFarm is what stands on the stage: the hosts and what runs on them.
type demoFarm struct {
	stage *stage
	dir   string // in the lab's own /run: gone with the lab
	exe   string

	client *lab.Host
	webs   []*demoWeb
	lb     *demoDaemon
	last   director.Status // the last that was seen
	setup  string          // what `realserver setup` printed on the first web server
}

func (f *demoFarm) build() {
	var err error
	f.exe, err = os.Executable()
	f.must(err)
	f.dir, err = os.MkdirTemp("/run", "ipvsd-demo-")
	f.must(err)
	f.stage.Cleanup(func() { os.RemoveAll(f.dir) })

	net := lab.New(f.stage)
	f.client = net.Host("client", demoClient+"/24")
	for i := range 3 {
		name, addr := fmt.Sprintf("web%d", i+1), fmt.Sprintf("192.168.0.%d", 101+i)
		w := f.web(net.Host(name, addr+"/24"), name)
		w.addr = addr + ":80"
		f.webs = append(f.webs, w)
		printed := w.host.Run(f.exe, "realserver", "setup", "--vip", demoVIP)
		if i == 0 {
			f.setup = printed
		}
	}
	f.lb = f.daemon(net.Host("loadb1", demoDirector+"/24"))
}

func (f *demoFarm) must(err error) {
	if err != nil {
		f.stage.Fatalf("demo: %v", err)
	}
}

// ownState gives a host a /var/lib of its own: there the daemons keep what must
// outlive them, at the same path on every host.
func (f *demoFarm) ownState(h *lab.Host) {
	h.Private("/var/lib")
	f.must(h.Do(func() error { return os.Mkdir("/var/lib/nginx", 0o755) }))
}

// demoWeb is a web server: nginx with its own files.
type demoWeb struct {
	name  string
	addr  string // as the table has it
	dir   string
	farm  *demoFarm
	host  *lab.Host
	nginx *lab.Proc
}

const nginxConf = `daemon off;
user root;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	access_log off;
	default_type text/html;
	server {
		listen 80;
		root %[1]s/htdocs;
		add_header X-Server %[2]s;
	}
}
`

// web starts nginx on a host.
func (f *demoFarm) web(h *lab.Host, name string) *demoWeb {
	f.ownState(h)
	w := &demoWeb{name: name, farm: f, host: h, dir: filepath.Join(f.dir, name)}
	f.must(os.MkdirAll(filepath.Join(w.dir, "htdocs"), 0o755))
	w.write("nginx.conf", fmt.Sprintf(nginxConf, w.dir, name))
	w.write("htdocs/index.html", "<html><body>This is "+name+".</body></html>\n")
	w.page(testPage)
	w.start()
	return w
}

func (w *demoWeb) write(file, text string) {
	w.farm.must(os.WriteFile(filepath.Join(w.dir, file), []byte(text), 0o644))
}

// page replaces the page that the check asks for.
func (w *demoWeb) page(text string) { w.write("htdocs/ldirector.html", text) }

func (w *demoWeb) start() {
	nginx, err := nginxPath()
	w.farm.must(err)
	w.nginx = w.host.Start(nginx, "-p", w.dir, "-c", filepath.Join(w.dir, "nginx.conf"), "-e", filepath.Join(w.dir, "error.log"))
}

// kill kills nginx, its workers included.
func (w *demoWeb) kill() {
	w.farm.must(syscall.Kill(-w.nginx.PID(), syscall.SIGKILL))
	_ = w.nginx.Wait(5 * time.Second) // it was killed: an error is what must come
}

// demoDaemon is a director: the daemon, its file and its control socket.
type demoDaemon struct {
	farm   *demoFarm
	dir    string
	host   *lab.Host
	procs  []*lab.Proc // the last one is the one that runs
	client *api.Client
}

// daemon prepares a director and its fallback web server, and doesn't start it.
func (f *demoFarm) daemon(h *lab.Host) *demoDaemon {
	d := &demoDaemon{farm: f, host: h, dir: filepath.Join(f.dir, h.Name)}
	f.must(os.Mkdir(d.dir, 0o755))
	f.must(os.WriteFile(d.file(), []byte(demoFile), 0o644))
	f.web(h, demoFallback)
	d.client = api.NewClient(d.socket())
	f.stage.Cleanup(d.client.Close)
	return d
}

func (d *demoDaemon) file() string   { return filepath.Join(d.dir, "ipvsd.toml") }
func (d *demoDaemon) socket() string { return filepath.Join(d.dir, "ipvsd.sock") }

func (d *demoDaemon) start() {
	d.procs = append(d.procs, d.host.Start(d.farm.exe, "director", "-c", d.file(), "--socket", d.socket()))
}

func (d *demoDaemon) proc() *lab.Proc { return d.procs[len(d.procs)-1] }

// stop ends the daemon as systemd does.
func (d *demoDaemon) stop() error {
	d.proc().Signal(syscall.SIGTERM)
	if err := d.proc().Wait(10 * time.Second); err != nil {
		return fmt.Errorf("ipvsd director after SIGTERM: %v", err)
	}
	return nil
}

// logTo writes what the director logged, for a demo that went wrong.
func (f *demoFarm) logTo(w io.Writer) {
	if f.lb == nil || len(f.lb.procs) == 0 {
		return
	}
	fmt.Fprintln(w, "\nThe director's log:")
	for _, p := range f.lb.procs {
		fmt.Fprint(w, p.Output())
	}
}
