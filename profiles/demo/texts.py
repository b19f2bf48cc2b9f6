"""What the demo bank's core system says of a transaction: remarks, wallets' lines, names.

By what a transaction really is. The words are those of statements, not of the taxonomy: they were
written before its rules were looked at, and a test holds how many of them it types right.
"""

from __future__ import annotations

__all__ = ["AGENCIES", "EMPLOYERS", "LINES", "NOTHING", "PINYIN", "WALLETS", "partners"]

LINES: dict[str, list[str]] = {
    # consumers, in
    "C.salary": ["代发工资", "工资", "薪资", "代付工资", "本月工资", "工资款", "员工薪酬", "月薪"],
    "C.bonus": ["年终奖", "绩效奖金", "季度奖", "代发奖金", "项目奖金"],
    "C.travel_expenses_back": ["报销款", "差旅报销", "费用报销", "出差报销"],
    "C.royalty": ["稿费", "劳务费", "讲课费", "劳务报酬"],
    "C.insurance_claim": ["理赔款", "车险理赔", "保险赔款", "医疗险赔付"],
    "C.transfer_in": [
        "转账存入", "跨行转入", "他行汇入", "电子汇入", "网转", "汇入汇款", "手机转账", "转存",
    ],
    "C.purchase_refund": [
        "财付通-美团退款", "支付宝-淘宝退款", "退货款", "消费撤销 退款", "京东退款",
    ],
    "C.wallet_in": ["支付机构提现", "微信提现", "支付宝提现", "零钱提现"],
    "C.interest": ["结息", "利息存入", "账户结息", "个人活期结息"],
    "C.wealth_redeemed": ["受托理财赎回", "理财到期", "朝朝宝转出", "理财产品兑付"],
    "C.cash_in": ["现金存入", "ATM存款", "CRS存款", "柜台存现"],
    "C.gift_received": ["微信红包", "压岁钱", "生日红包", "礼金"],
    "C.own_elsewhere_in": ["转账存入", "跨行转入", "网转", "归集"],
    # consumers, out
    "C.groceries": [
        "财付通-红旗连锁", "支付宝-永辉超市", "消费 中百仓储", "财付通-大润发", "支付宝-罗森便利店",
        "银联快捷支付-盒马", "财付通-兴隆菜市场", "POS消费 家家悦超市", "支付宝-鲜丰水果",
    ],
    "C.dining": [
        "财付通-蜜雪冰城", "支付宝-瑞幸咖啡", "财付通-美团外卖", "消费 老乡鸡", "支付宝-张姐米线",
        "财付通-袁记云饺", "POS消费 小龙坎火锅", "支付宝-拉扎斯网络科技", "财付通-肯德基",
    ],
    "C.online_shopping": [
        "支付宝-淘宝网", "财付通-拼多多", "京东支付-京东商城", "财付通-唯品会", "支付宝-天猫",
        "抖音支付-抖音电商", "财付通-小红书商城",
    ],
    "C.pharmacy": [
        "财付通-老百姓大药房", "支付宝-国大药房", "医保支付 一心堂药店", "消费 同仁堂药房",
    ],
    "C.clothing": ["消费 优衣库", "财付通-海澜之家", "支付宝-安踏专卖店", "POS消费 百丽鞋业"],
    "C.health": ["财付通-市第一医院", "支付宝-华西医院挂号", "POS消费 口腔诊所", "门诊收费"],
    "C.card_purchase": ["消费", "快捷支付", "网联协议支付", "扫二维码付款", "POS消费", "无卡支付"],
    "C.beauty": ["支付宝-永琪美容美发", "财付通-丝域养发馆", "消费 美甲店"],
    "C.entertainment": ["财付通-淘票票", "支付宝-大地影院", "财付通-纯K", "消费 欢乐谷"],
    "C.electronics": ["支付宝-小米之家", "POS消费 苏宁电器", "消费 华为体验店", "财付通-顺电"],
    "C.parking_toll": ["停车费", "ETC通行费", "财付通-停车场缴费", "高速公路通行费"],
    "C.public_fee": ["护照工本费", "不动产登记费", "诉讼费", "考试报名费"],
    "C.education": ["学费", "财付通-学而思", "支付宝-驾校培训", "大学学费代收"],
    "C.renovation": ["装修款", "支付宝-东易日盛装饰", "家装尾款", "POS消费 居然之家建材"],
    "C.card_repaid": ["信用卡还款", "信用卡自动还款", "本行信用卡还款", "还信用卡"],
    "C.taxi": [
        "支付宝-滴滴出行", "财付通-T3出行", "财付通-哈啰打车", "支付宝-嘀嗒出行", "出租车费",
    ],
    "C.public_transport": [
        "支付宝-武汉地铁", "财付通-天府通", "铁路12306", "长安通充值", "公交乘车",
    ],
    "C.fuel": [
        "中国石化加油", "财付通-延长壳牌", "支付宝-小桔充电", "POS消费 加油站", "中石油加油卡",
    ],
    "C.hotel": ["财付通-华住酒店", "POS消费 如家酒店", "支付宝-亚朵", "消费 锦江之星"],
    "C.airline": ["支付宝-南方航空", "财付通-春秋航空", "机票款", "消费 四川航空"],
    "C.cash_out": ["ATM取款", "本行ATM取款", "现金支取", "跨行ATM取款", "柜台取现"],
    "C.wealth_elsewhere": ["支付宝-余额宝", "财付通-理财通", "京东金融-小金库", "支付宝-蚂蚁财富"],
    "C.securities_out": ["银证转账转出", "银行转证券", "银转证", "第三方存管转出"],
    "C.own_elsewhere_out": ["跨行转出", "转支", "网转", "电子汇出", "手机转账", "转账支取"],
    "C.wallet_out": ["微信零钱充值", "支付宝充值", "零钱充值", "余额充值"],
    "C.insurance": ["保险费", "平安保费代扣", "太平洋车险", "续期保费", "支付宝-众安保险"],
    "C.social_insurance": ["社保缴费", "城乡居民医保", "灵活就业养老保险", "代扣社保"],
    "C.transfer_out": [
        "跨行转出", "网转", "电子汇出", "手机转账", "跨行汇款", "转账支取", "微信转账",
    ],
    "C.gift_given": ["微信红包", "份子钱", "随礼", "压岁钱"],
    "C.wealth_bought": ["受托理财申购", "朝朝宝自动转入", "购买理财", "理财认购"],
    "C.deposit_made": ["转定期", "整存整取", "定期存入", "大额存单购买"],
    # consumers, month by month
    "C.rent_paid": ["房租", "财付通-贝壳租房", "租金", "支付宝-自如"],
    "C.mortgage": ["房贷还款", "按揭还款", "个人住房贷款扣款", "住房贷款", "贷款本息 房贷"],
    "C.telecom": ["中国电信话费", "支付宝-中国移动充值", "联通话费", "宽带费", "代扣话费"],
    "C.utilities": ["国家电网电费", "燃气费", "水费代扣", "支付宝-华润燃气", "电费"],
    "C.property_fee": ["物业费", "碧桂园服务物业费", "财付通-保利物业", "物业服务费"],
    "C.subscription": ["腾讯视频会员", "支付宝-爱奇艺会员", "网易云音乐续费", "iCloud会员"],
    # companies
    "B.sales": ["货款", "付货款", "材料款", "采购款", "设备货款", "销货款"],
    "B.services_sold": ["服务费", "技术服务费", "咨询费", "检测费", "设计费"],
    "B.card_takings": ["商户结算款", "收单清算", "银联商务结算", "微信商户结算", "POS清算款"],
    "B.project_payment": ["工程款", "工程进度款", "项目尾款", "装修工程款"],
    "B.loan_drawn": ["贷款发放", "流动资金贷款放款", "放款", "经营贷发放"],
    "B.supplier": ["货款", "材料款", "原料采购", "配件款", "付货款", "钢材款"],
    "B.services_bought": ["咨询费", "审计费", "律师费", "技术服务费", "软件服务费"],
    "B.freight": ["运费", "物流费", "快递费", "运输费", "顺丰月结"],
    "B.advertising": ["广告费", "推广费", "抖音投流", "宣传费"],
    "B.equipment": ["设备款", "购设备", "机器设备采购", "购车款"],
    "B.payroll": ["代发工资", "工资", "发放工资", "员工工资", "本月工资"],
    "B.staff_expenses": ["报销款", "差旅费报销", "员工报销", "备用金"],
    "B.agency_staff": ["劳务派遣费", "外包服务费 人力", "劳务费", "派遣人员费用"],
    "B.staff_insurance": ["社保费", "公积金", "社会保险费", "缴存公积金"],
    "B.vat": ["增值税", "缴税 增值税", "附加税", "城建税"],
    "B.income_tax": ["企业所得税", "缴企业所得税", "印花税", "房产税"],
    "B.rent_paid": ["房租", "厂房租金", "办公室租金", "仓库租赁费"],
    "B.utilities": ["电费", "水费", "企业宽带费", "燃气费"],
    "B.own_out": ["转账", "往来", "调拨", "划款"],
    "B.fee": ["手续费", "账户维护费", "汇款手续费", "回单费", "网银服务费"],
    # government bodies
    "G.budget_grant": ["财政拨款", "预算拨款", "零余额额度", "公用经费", "基本支出"],
    "G.special_funds_in": ["专项资金", "专项补助", "中央专项", "项目专项经费"],
    "G.fees_collected": ["非税收入", "学费收入", "行政事业性收费", "挂号收费", "水资源费"],
    "G.fines_collected": ["罚没收入", "罚款", "行政罚款"],
    "G.rent_received": ["房屋租金", "国有资产出租", "门面租金"],
    "G.taxes_collected": ["税款入库", "税收收入", "代征税款"],
    "G.payroll": ["工资", "人员工资", "统发工资", "在编人员工资", "绩效工资"],
    "G.staff_insurance": ["职业年金", "单位公积金", "社保费", "养老保险单位缴费"],
    "G.procurement": ["政府采购", "采购办公用品", "货物采购", "药品采购款", "教材款"],
    "G.services_bought": ["物业服务费", "购买服务", "保安服务费", "信息系统运维费"],
    "G.benefits_paid": ["低保金", "高龄补贴", "困难补助发放", "惠农补贴"],
    "G.construction": ["工程款", "工程进度款", "道路改造工程", "教学楼建设款"],
    "G.utilities": ["电费", "水费", "取暖费", "电话费"],
    "G.own_out": ["资金调拨", "转账", "划转"],
}  # fmt: skip
"""Each way of saying it; a wallet stands before "-" with the shop behind it."""

PINYIN = {
    "代发工资": "DAIFA GONGZI", "工资": "GONGZI", "房租": "FANGZU", "跨行转出": "KUAHANG ZHUANCHU",
    "电费": "DIANFEI", "物业费": "WUYEFEI", "结息": "JIEXI", "房贷还款": "FANGDAI HUANKUAN",
    "报销款": "BAOXIAOKUAN", "货款": "HUOKUAN", "ATM取款": "ATM QUKUAN", "学费": "XUEFEI",
    "信用卡还款": "XINYONGKA HUANKUAN", "话费": "HUAFEI", "保险费": "BAOXIANFEI",
}  # fmt: skip

NOTHING = [
    "", "-", "无", "交易", "业务处理", "HVPS", "0412", "QT", "见备注", "TX8841", "支付宝", "财付通",
    "详见附言", "1", "网银",
]  # fmt: skip
"""Says nothing: nobody could type such a row by its text."""

WALLETS = {
    "支付宝": "支付宝（中国）网络技术有限公司",
    "财付通": "财付通支付科技有限公司",
    "微信": "财付通支付科技有限公司",
    "京东": "网银在线（北京）科技有限公司",
    "抖音": "武汉合众易宝科技有限公司",
}
AGENCIES = ["四川蓝海人力资源服务有限公司", "众合劳务派遣有限公司", "西安人才服务中心"]
_PLACES = ("成都", "武汉", "西安", "重庆", "长沙", "昆明", "郑州", "合肥")
_WORDS = ("天元", "恒泰", "金桥", "万和", "新希望", "鼎盛", "光华", "瑞丰", "长江", "云帆")
_KINDS = ("机械", "食品", "科技", "建材", "商贸", "物流", "医药", "电子")
EMPLOYERS = [f"{p}{w}{k}有限公司" for p in _PLACES for w in _WORDS[:5] for k in _KINDS[:2]]


def partners() -> list[str]:
    """Names of other companies, as buyers, suppliers and landlords."""
    return [f"{p}{w}{k}有限责任公司" for p in _PLACES for w in _WORDS for k in _KINDS[2:]]
