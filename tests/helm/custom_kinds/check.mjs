// Reads a JSON list of objects of custom kinds, writes a JSON object: what is wrong, by kind and name.
// Runs beside the packages it imports. The validators are those of @kubernetes-models, made of the projects' own definitions.
import { readFileSync } from "node:fs";

const packages = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
  "traefik.io": "traefik",
};
const wrong = {};
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const [group] = object.apiVersion.split("/");
  const place = `@kubernetes-models/${packages[group]}/${object.apiVersion}/${object.kind}`;
  try {
    const model = await import(place);
    new model[object.kind](object).validate();
  } catch (error) {
    wrong[`${object.kind} ${object.metadata.name}`] = String(error.message);
  }
}
process.stdout.write(JSON.stringify(wrong));
