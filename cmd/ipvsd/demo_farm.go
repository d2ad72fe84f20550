package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	demoVIP    = "192.168.0.105"
	demoURL    = "http://" + demoVIP + "/"
	demoClient = "192.168.0.1" // it is the gateway, too, which is the directors' witness
	demoChat   = demoVIP + ":5222"
	demoWebs   = 3

	demoLoadb1 = "192.168.0.111"
	demoLoadb2 = "192.168.0.112"
)

// demoFile is the file of both directors: name and listen are found by the
// host's name and addresses.
const demoFile = `[cluster]
join = ["192.168.0.111:7946", "192.168.0.112:7946"]
key_file = "/etc/ipvsd/cluster.key"
interface = "eth0"

[check]
type = "http"
request = "/ldirector.html"
receive = "Test Page"
interval = "2s"
timeout = "2s"

[[virtual]]
name = "web"
address = "192.168.0.105:80"
scheduler = "rr"
  [[virtual.real]]
  address = "192.168.0.101"
  [[virtual.real]]
  address = "192.168.0.102"
  [[virtual.real]]
  address = "192.168.0.103"

[[virtual]]
name = "chat"                    # connections that live for hours
address = "192.168.0.105:5222"
  [virtual.check]
  type = "connect"
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
	lbs    []*demoDaemon

	setup  string // what `realserver setup` printed on the first web server
	keygen string // what `cluster keygen` printed
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
	for i := range demoWebs {
		name, addr := fmt.Sprintf("web%d", i+1), fmt.Sprintf("192.168.0.%d", 101+i)
		w := f.web(net.Host(name, addr+"/24"), name)
		w.addr = addr + ":80"
		f.webs = append(f.webs, w)
		printed := w.host.Run(f.exe, "realserver", "setup", "--vip", demoVIP)
		if i == 0 {
			f.setup = printed
		}
	}
	f.webs[demoWebs-1].host.Echo("tcp", ":5222", f.webs[demoWebs-1].name)
	for i, addr := range []string{demoLoadb1, demoLoadb2} {
		f.lbs = append(f.lbs, f.daemon(net.Host(fmt.Sprintf("loadb%d", i+1), addr+"/24")))
	}
	f.keygen = f.lbs[0].host.Run(f.exe, "cluster", "keygen", "-o", demoKeyPath)
	f.lbs[1].write(demoKeyPath, f.lbs[0].read(demoKeyPath), 0o600)
}

func (f *demoFarm) must(err error) {
	if err != nil {
		f.stage.Fatalf("demo: %v", err)
	}
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

// web starts nginx on a host. The host gets a /var/lib of its own: there nginx
// and ipvsd keep what must outlive them, at the same path on every host.
func (f *demoFarm) web(h *lab.Host, name string) *demoWeb {
	h.Private("/var/lib")
	f.must(h.Do(func() error { return os.Mkdir("/var/lib/nginx", 0o755) }))
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

// logTo writes what the directors logged, for a demo that went wrong.
func (f *demoFarm) logTo(w io.Writer) {
	for _, d := range f.lbs {
		for _, p := range d.procs {
			fmt.Fprintf(w, "\nThe log of %s (pid %d):\n%s", d.name, p.PID(), p.Output())
		}
	}
}
