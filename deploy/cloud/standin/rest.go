package standin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// rest answers the API of DigitalOcean (version 2) or Hetzner Cloud (version 1).
func (c *Cloud) rest(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	f := c.fault()
	switch {
	case f == Hangs:
		c.mu.Unlock()
		<-r.Context().Done()
		return
	case f == Throttled:
		c.fail(w, 429, "too_many_requests", "rate_limit_exceeded", "API Rate limit exceeded.")
	case f == Broken:
		c.fail(w, 500, "server_error", "server_error", "Unexpected server-side error")
	case f == Busy && c.kind == Hetzner:
		c.fail(w, 423, "", "locked", "The item you are trying to access is locked")
	case f == Busy:
		c.fail(w, 422, "unprocessable_entity", "", "The reserved IP already has a pending event.")
	case f == Denied:
		c.fail(w, 403, "forbidden", "forbidden", "You do not have access for the attempted action.")
	case r.Header.Get("Authorization") != "Bearer "+Token:
		c.refuse("authorization %q", r.Header.Get("Authorization"))
		c.fail(w, 401, "unauthorized", "unauthorized", "Unable to authenticate you")
	default:
		c.serve(w, r, f)
	}
	c.mu.Unlock()
}

// fail answers with an error in the API's own form.
func (c *Cloud) fail(w http.ResponseWriter, status int, digitalOcean, hetzner, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if c.kind == Hetzner {
		fmt.Fprintf(w, "{\n  \"error\": {\n    \"code\": %q,\n    \"message\": %q,\n    \"details\": {}\n  }\n}\n", hetzner, message)
		return
	}
	fmt.Fprintf(w, `{"id":%q,"message":%q}`, digitalOcean, message)
}

func (c *Cloud) serve(w http.ResponseWriter, r *http.Request, f Fault) {
	paths := map[Kind][2]string{
		DigitalOcean: {"/v2/reserved_ips/" + c.address, "/v2/reserved_ips/" + c.address + "/actions"},
		Hetzner:      {"/v1/floating_ips/" + c.address, "/v1/floating_ips/" + c.address + "/actions/assign"},
	}[c.kind]
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "GET " + paths[0]:
		c.describe(w)
		c.question()
	case "POST " + paths[1]:
		to, ok := c.wish(r)
		if !ok {
			c.fail(w, 422, "unprocessable_entity", "invalid_input", "The request is not valid")
			return
		}
		if !c.move(w, to, f) {
			return
		}
		w.WriteHeader(http.StatusCreated)
		if c.kind == Hetzner {
			fmt.Fprintf(w, "{\n  \"action\": {\n    \"id\": 13,\n    \"command\": \"assign_floating_ip\",\n    \"status\": \"running\",\n    \"progress\": 0,\n    \"error\": null\n  }\n}\n")
			return
		}
		fmt.Fprint(w, `{"action":{"id":72531856,"status":"in-progress","type":"assign_ip","completed_at":null,"resource_type":"reserved_ip"}}`)
	default:
		c.refuse("%s %s", r.Method, r.URL)
		c.fail(w, 404, "not_found", "not_found", "The resource you were accessing could not be found.")
	}
}

func (c *Cloud) describe(w http.ResponseWriter) {
	if c.kind == Hetzner {
		server := "null"
		if c.holder != "" {
			server = c.holder
		}
		fmt.Fprintf(w, "{\n  \"floating_ip\": {\n    \"id\": %s,\n    \"ip\": %q,\n    \"type\": \"ipv4\",\n    \"server\": %s,\n    \"home_location\": {\n      \"id\": 1,\n      \"name\": \"fsn1\"\n    },\n    \"blocked\": false\n  }\n}\n", c.address, c.public, server)
		return
	}
	droplet := "null"
	if c.holder != "" {
		droplet = fmt.Sprintf(`{"id":%s,"name":"lb","memory":1024,"region":{"slug":"fra1"}}`, c.holder)
	}
	fmt.Fprintf(w, `{"reserved_ip":{"ip":%q,"region":{"name":"Frankfurt 1","slug":"fra1"},"droplet":%s,"locked":false}}`, c.public, droplet)
}

// wish is the machine that a request wants the address to go to.
func (c *Cloud) wish(r *http.Request) (machine string, ok bool) {
	var body struct {
		Type    string      `json:"type"`
		Droplet json.Number `json:"droplet_id"`
		Server  json.Number `json:"server"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	machine = body.Server.String()
	if c.kind == DigitalOcean {
		machine = body.Droplet.String()
	}
	switch {
	case err != nil, r.Header.Get("Content-Type") != "application/json",
		c.kind == DigitalOcean && body.Type != "assign", !slices.Contains(c.machines, machine):
		c.refuse("move: %+v, %v, Content-Type %q", body, err, r.Header.Get("Content-Type"))
		return "", false
	}
	return machine, true
}
