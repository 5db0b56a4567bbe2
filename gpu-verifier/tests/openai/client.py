"""Talks to a node with the ordinary `openai` client; `tests/it/openai_client.rs` starts it and judges what it prints.

The plan comes as JSON on standard input, with vouchers signed beforehand; what was seen goes as JSON to standard output.
"""

import json
import sys

import openai


def tandem(thing):
    """The field that the client does not know, as a dictionary."""
    return thing.model_extra["tandem"]


def chunks(client, stream, top_ups):
    """Reads a stream to its end, and pays when it asks for it."""
    seen = {"text": "", "tokens": [], "paid": 0, "finish": None, "evidence": None, "usage": None}
    for chunk in stream:
        if chunk.usage is not None:
            seen["usage"] = chunk.usage.completion_tokens
        for choice in chunk.choices:
            delta = getattr(choice, "delta", None)
            seen["text"] += (delta.content if delta is not None else choice.text) or ""
            seen["finish"] = choice.finish_reason or seen["finish"]
        note = (chunk.model_extra or {}).get("tandem") or {}
        seen["tokens"] += note.get("tokens", [])
        seen["evidence"] = note.get("evidence", seen["evidence"])
        if "due" in note and top_ups:
            receipt = client.post("/vouchers", body=top_ups.pop(0), cast_to=object)
            assert receipt["covered"] >= note["due"]["completion_tokens"], receipt
            seen["paid"] += 1
    return seen


def refusal(call):
    """How an error arrives."""
    try:
        call()
    except openai.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "named": bool(error.request_id),
            "retry_after": error.response.headers.get("retry-after"),
        }
    except openai.APIError as error:
        return {"class": type(error).__name__, "code": error.code, "message": error.message}
    return None


def main():
    plan = json.load(sys.stdin)
    client = openai.OpenAI(base_url=plan["url"] + "/v1", api_key="none", max_retries=0, timeout=60)
    seen = {"models": [[model.id, tandem(model)["uid"]] for model in client.models.list()]}

    completion = client.completions.create(**plan["completion"])
    seen["completion"] = {
        "text": completion.choices[0].text,
        "finish": completion.choices[0].finish_reason,
        "usage": [completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens],
        "evidence": tandem(completion),
        "named": bool(completion._request_id),
    }

    chat = client.chat.completions.create(**plan["chat"])
    seen["chat"] = {
        "role": chat.choices[0].message.role,
        "text": chat.choices[0].message.content,
        "finish": chat.choices[0].finish_reason,
        "usage": chat.usage.completion_tokens,
        "evidence": tandem(chat),
    }

    stream = client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **plan["chat_stream"])
    seen["chat_stream"] = chunks(client, stream, [])

    stream = client.completions.create(stream=True, **plan["paid_by_batch"])
    seen["paid_by_batch"] = chunks(client, stream, plan["top_ups"])

    seen["refusals"] = [
        refusal(lambda: getattr(client, api).completions.create(**body) if api else client.completions.create(**body))
        for api, body in plan["refused"]
    ]
    slow = openai.OpenAI(base_url=plan["slow_url"] + "/v1", api_key="none", max_retries=0, timeout=60)
    seen["cut_off"] = refusal(lambda: list(slow.completions.create(stream=True, **plan["slow"])))
    json.dump(seen, sys.stdout)


main()
