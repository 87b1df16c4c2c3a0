"""One chat with LangChain as it comes, which has no option for a client certificate."""

from langchain_openai import ChatOpenAI

print(ChatOpenAI(model="gpt-4o-mini", max_retries=0).invoke("hello").content)
