package standin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ec2 answers EC2's query API, version 2016-11-15.
func (c *Cloud) ec2(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	q, err := url.ParseQuery(string(body))
	c.mu.Lock()
	action := q.Get("Action")
	c.asked = append(c.asked, action)
	f := c.fault()
	switch {
	case f == Hangs:
		c.mu.Unlock()
		<-r.Context().Done()
		return
	case f == Throttled:
		ec2Error(w, 503, "RequestLimitExceeded", "Request limit exceeded.")
	case f == Broken:
		ec2Error(w, 500, "InternalError", "An internal error has occurred")
	case f == Busy:
		ec2Error(w, 400, "IncorrectInstanceState", "The pending instance is not in a valid state for this operation.")
	case f == Denied:
		ec2Error(w, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
	case r.Method != "POST" || err != nil || q.Get("Version") != "2016-11-15":
		c.refuse("%s %s %s", r.Method, r.URL, body)
		ec2Error(w, 400, "InvalidAction", "The action is not valid for this web service")
	default:
		if why := wrongSignature(r, body); why != "" {
			c.refuse("signature: %s", why)
			ec2Error(w, 401, "AuthFailure", "AWS was not able to validate the provided access credentials")
			break
		}
		c.act(w, q, f)
	}
	c.mu.Unlock()
}

func (c *Cloud) act(w http.ResponseWriter, q url.Values, f Fault) {
	switch q.Get("Action") {
	case "DescribeAddresses":
		if q.Get("AllocationId.1") != c.address {
			ec2Error(w, 400, "InvalidAllocationID.NotFound", "The allocation ID does not exist")
			return
		}
		held := ""
		if c.holder != "" {
			held = fmt.Sprintf("<associationId>eipassoc-0a</associationId><networkInterfaceId>%s</networkInterfaceId>"+
				"<networkInterfaceOwnerId>123456789012</networkInterfaceOwnerId><privateIpAddress>10.0.1.11</privateIpAddress>", c.holder)
		}
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeAddressesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"+
			"    <requestId>f7de5e98-491a-4c19-a92d-908d6EXAMPLE</requestId>\n    <addressesSet>\n        <item>\n"+
			"            <publicIp>%s</publicIp>\n            <allocationId>%s</allocationId>\n            <domain>vpc</domain>\n            %s\n"+
			"        </item>\n    </addressesSet>\n</DescribeAddressesResponse>", c.public, c.address, held)
		c.question()
	case "AssociateAddress":
		to := q.Get("NetworkInterfaceId")
		if q.Get("AllocationId") != c.address || !slices.Contains(c.machines, to) {
			ec2Error(w, 400, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
			return
		}
		if c.holder != "" && c.holder != to && q.Get("AllowReassociation") != "true" {
			ec2Error(w, 400, "Resource.AlreadyAssociated", "The address is already associated")
			return
		}
		if !c.move(w, to, f) {
			return
		}
		fmt.Fprint(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AssociateAddressResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"+
			"    <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>\n    <return>true</return>\n    <associationId>eipassoc-0b</associationId>\n</AssociateAddressResponse>")
	default:
		c.refuse("action %s", q.Get("Action"))
		ec2Error(w, 400, "InvalidAction", "The action is not valid for this web service")
	}
}

func ec2Error(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-EXAMPLE</RequestID></Response>", code, message)
}

// wrongSignature says what is wrong with a request's signature (AWS Signature
// Version 4), or "".
func wrongSignature(r *http.Request, body []byte) string {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "none"
	}
	part := map[string]string{}
	for p := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		part[k] = v
	}
	date := r.Header.Get("X-Amz-Date")
	if len(date) < 8 {
		return "no X-Amz-Date"
	}
	scope := date[:8] + "/" + Region + "/ec2/aws4_request"
	if part["Credential"] != Key+"/"+scope {
		return "credential " + part["Credential"]
	}
	signed := strings.Split(part["SignedHeaders"], ";")
	want := []string{"host", "x-amz-date"}
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		if token != Session {
			return "security token " + token
		}
		want = append(want, "x-amz-security-token")
	}
	for _, h := range want {
		if !slices.Contains(signed, h) {
			return h + " isn't signed"
		}
	}
	// curl signs the host without a port that isn't the scheme's own, issue 9550
	// there; EC2 has no such port.
	hosts := []string{r.Host}
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		hosts = append(hosts, h)
	}
	for _, host := range hosts {
		if sign(r, body, signed, host, date, scope) == part["Signature"] {
			return ""
		}
	}
	return "it doesn't match"
}

// sign is the signature that a request has to have.
func sign(r *http.Request, body []byte, signed []string, host, date, scope string) string {
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, r.URL.EscapedPath(), r.URL.RawQuery)
	for _, h := range signed {
		value := r.Header.Get(h)
		if h == "host" {
			value = host
		}
		fmt.Fprintf(&canonical, "%s:%s\n", h, strings.TrimSpace(value))
	}
	fmt.Fprintf(&canonical, "\n%s\n%x", strings.Join(signed, ";"), sha256.Sum256(body))
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", date, scope, sha256.Sum256([]byte(canonical.String())))
	key := []byte("AWS4" + Secret)
	for p := range strings.SplitSeq(scope, "/") {
		key = mac(key, p)
	}
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
