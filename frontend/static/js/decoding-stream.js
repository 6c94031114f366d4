// Server-sent events of a request that carries a form: what EventSource cannot do, for it only asks by address.

// Calls handle(name, data) for every event until the stream ends; the signal ends it at once, on both sides.
export async function follow(address, form, signal, handle) {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(form)), signal });
  if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) throw new Error(await sentence(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) tell(part, handle);
  }
}

function tell(part, handle) {
  let name = "message";
  let data = "";
  for (const line of part.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (data) handle(name, JSON.parse(data)); // what has none is a sign of life
}

// What a page that came instead of a stream says.
async function sentence(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const said = page.querySelector("#problem")?.textContent.replace(/\s+/g, " ").trim();
  return said || `The server could not answer (${answer.status}). Try again, and tell the operator if it stays so.`;
}
