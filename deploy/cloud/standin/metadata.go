package standin

import (
	"fmt"
	"net/http"
)

// metadataToken is what IMDSv2 hands out.
const metadataToken = "AQAEALh0EXAMPLE=="

// Metadata is what a machine asks at 169.254.169.254. self says which machine a
// request comes from.
func (c *Cloud) Metadata(self func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		machine := self(r)
		if c.kind == AWS {
			c.imds(w, r, machine)
			return
		}
		path := map[Kind]string{DigitalOcean: "/metadata/v1/id", Hetzner: "/hetzner/v1/metadata/instance-id"}[c.kind]
		if r.Method != "GET" || r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, machine)
	})
}

// imds is version 2 of the Instance Metadata Service: without a token it says
// nothing.
func (c *Cloud) imds(w http.ResponseWriter, r *http.Request, machine string) {
	const root = "/latest/meta-data/"
	switch {
	case r.Method == "PUT" && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
		fmt.Fprint(w, metadataToken)
		return
	case r.Method != "GET" || r.Header.Get("X-Aws-Ec2-Metadata-Token") != metadataToken:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	const hardware = "0e:49:61:0f:c3:11"
	answers := map[string]string{
		root + "placement/region": Region,
		root + "mac":              hardware,
		root + "network/interfaces/macs/" + hardware + "/interface-id": machine,
		root + "iam/security-credentials/":                             Role,
		root + "iam/security-credentials/" + Role: fmt.Sprintf("{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-11-22T10:00:00Z\",\n  \"Type\" : \"AWS-HMAC\",\n"+
			"  \"AccessKeyId\" : %q,\n  \"SecretAccessKey\" : %q,\n  \"Token\" : %q,\n  \"Expiration\" : \"2026-11-22T16:00:00Z\"\n}", Key, Secret, Session),
	}
	answer, ok := answers[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, answer)
}
