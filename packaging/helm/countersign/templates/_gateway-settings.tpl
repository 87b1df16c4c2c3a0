{{/* The gateway's configuration file. What the chart decides wins, and cannot be set twice. */}}
{{- define "countersign.gatewayToml" -}}
{{- $gateway := .Values.gateway -}}
{{- $settings := deepCopy $gateway.settings -}}
{{- $own := dict
  "listen" (printf "%s:8443" $gateway.bindAddress)
  "admin_listen" (printf "%s:9090" $gateway.bindAddress)
  "certificate" "/etc/countersign/tls/tls.crt"
  "private_key" "/etc/countersign/tls/tls.key"
  "control_plane" (include "countersign.controlPlaneUrl" .)
  "key_file" "/etc/countersign/key/key"
  "data_dir" "/var/lib/countersign/gateway"
-}}
{{- if $gateway.controlPlane.caSecretName -}}
{{- $_ := set $own "control_plane_ca" "/etc/countersign/ca/ca.crt" -}}
{{- end -}}
{{- if hasPrefix "http://" $own.control_plane -}}
{{- if not .Values.controlPlane.allowCleartext -}}
{{- fail "gateway.controlPlane.url: `http://` sends the gateway's key in the clear; use `https://`, or set `controlPlane.allowCleartext` where something else encrypts" -}}
{{- end -}}
{{- $_ := set $own "allow_cleartext" true -}}
{{- end -}}
{{- range $name := list "listen" "admin_listen" "certificate" "private_key" "control_plane" "control_plane_ca" "key_file" "data_dir" "allow_cleartext" "routes" "decisions" -}}
{{- if hasKey $settings $name -}}
{{- fail (printf "gateway.settings.%s: the chart sets this itself; values.yaml has a value for it" $name) -}}
{{- end -}}
{{- end -}}
{{- if not $gateway.routes -}}
{{- fail "gateway.routes: name at least one, such as `- upstream: http://api.default.svc:8000`" -}}
{{- end -}}
{{- $all := merge $own $settings -}}
{{- $_ := set $all "routes" (deepCopy $gateway.routes) -}}
{{- with $gateway.decisions -}}
{{- $listeners := list -}}
{{- $taken := dict "8443" true "9090" true -}}
{{- range . -}}
{{- $port := printf "%d" (int .port) -}}
{{- if hasKey $taken $port -}}
{{- fail (printf "gateway.decisions: port %s is taken; clients have 8443, the admin listener 9090, and each of `decisions` its own" $port) -}}
{{- end -}}
{{- $_ := set $taken $port true -}}
{{- $listen := dict "listen" (printf "%s:%s" $gateway.bindAddress $port) -}}
{{- $listeners = append $listeners (merge $listen (omit (deepCopy .) "port")) -}}
{{- end -}}
{{- $_ := set $all "decisions" $listeners -}}
{{- end -}}
{{- include "countersign.wholeNumbers" $all -}}
{{- toToml $all -}}
{{- end -}}

{{- define "countersign.controlPlaneUrl" -}}
{{- with .Values.gateway.controlPlane.url -}}
{{- . -}}
{{- else -}}
{{- if not .Values.controlPlane.enabled -}}
{{- fail "gateway.controlPlane.url: needed where `controlPlane.enabled` is false, such as `https://countersign.example.com:8085/v1`" -}}
{{- end -}}
{{- ternary "http" "https" .Values.controlPlane.allowCleartext -}}
://{{ include "countersign.controlPlane" . }}.{{ .Release.Namespace }}.svc:{{ .Values.controlPlane.service.port }}/v1
{{- end -}}
{{- end -}}
