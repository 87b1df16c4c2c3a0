{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "countersign.controlPlane" -}}{{ include "countersign.fullname" . }}-control-plane{{- end -}}
{{- define "countersign.gateway" -}}{{ include "countersign.fullname" . }}-gateway{{- end -}}

{{/* Takes a list of the context and the component. */}}
{{- define "countersign.selector" -}}
app.kubernetes.io/name: {{ default (index . 0).Chart.Name (index . 0).Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "countersign.labels" -}}
{{ include "countersign.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/part-of: countersign
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "countersign.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# So that mounted secrets can be read.
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods run. Takes a list of the values of a component, the context and the component. */}}
{{- define "countersign.placing" -}}
{{- $values := index . 0 -}}
{{- with (index . 1).Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* One pod is lost at most when a node or a zone is. */}}
{{- define "countersign.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "countersign.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* A value as an environment variable has it: Helm reads each number of a file as a fraction, 1000000 as 1e+06. */}}
{{- define "countersign.variable" -}}
{{- $value := . -}}
{{- if kindIs "float64" $value -}}
{{- if eq (floor $value) $value -}}{{- $value = int64 $value -}}{{- end -}}
{{- end -}}
{{- $value | toString | quote -}}
{{- end -}}

{{/* JSON knows one kind of number, TOML two: what is whole is written as such. Changes the dictionary. */}}
{{- define "countersign.wholeNumbers" -}}
{{- $table := . -}}
{{- range $key, $value := $table -}}
{{- if kindIs "float64" $value -}}
{{- if eq (floor $value) $value -}}{{- $_ := set $table $key (int64 $value) -}}{{- end -}}
{{- else if kindIs "map" $value -}}
{{- include "countersign.wholeNumbers" $value -}}
{{- else if kindIs "slice" $value -}}
{{- range $value -}}{{- if kindIs "map" . -}}{{- include "countersign.wholeNumbers" . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
