package checker

import (
	"net/url"
	"strings"
)

// A request for a whole URL, which the proxy must be able to fetch. Redirects
// aren't followed: they are the proxy's answer, not another's.
var httpProxyKind = kind{
	typ: HTTPProxy, keys: httpKeys &^ keysOf("follow_redirects"), port: 3128,
	fill: fillHTTP, valid: (*problems).proxy, build: newHTTPProbe,
}

func (v *problems) proxy(s Spec) {
	const example = `such as "http://www.example.org/"`
	switch {
	case strings.HasPrefix(s.Request, "https://"):
		v.add("request", "%q: through a proxy https is a tunnel, in which nothing can be asked; write an http:// URL", s.Request)
		return
	case strings.HasPrefix(s.Request, "/"), s.Request == "":
		if s.VirtualHost == "" {
			v.add("request", `check type "http_proxy" needs the URL to fetch through the proxy, %s`, example)
		}
	default:
		if u, err := url.Parse(s.Request); err != nil || u.Scheme != "http" || !hostLike(u.Host) || u.User != nil {
			v.add("request", "%q is no URL to fetch through the proxy; write one %s", s.Request, example)
			return
		}
		if s.VirtualHost != "" {
			v.add("virtualhost", "the URL of request names the host already; leave out one of the two")
		}
		s.Request = "/" + strings.TrimPrefix(s.Request, "http://")
	}
	v.http(s)
}

// proxied returns the URL to ask for and the host in it.
func proxied(s *Spec) (target, host string) {
	if u, err := url.Parse(s.Request); err == nil && u.Host != "" {
		return s.Request, u.Host
	}
	return "http://" + s.VirtualHost + s.Request, s.VirtualHost
}
