import data from "./answer.json" with { type: "json" };

export const answer: number = data.answer;
